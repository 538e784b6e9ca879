/** This machine with its models and engines, as `holon up` and `holon join` both start it. */
import { mkdirSync } from 'node:fs'
import type { Agent } from '../agent/agent.ts'
import { createAttachedAgent } from '../agent/attached.ts'
import { systemClock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { createDrivers } from '../engines/index.ts'
import { chips } from '../facts/index.ts'
import { profileMachine } from '../profile/profile-machine.ts'
import { attachSource } from './attach.ts'
import type { Config } from './config.ts'
import { createFileLog } from './file-log.ts'
import { takeLock } from './home-lock.ts'
import { openModelStore } from './model-store.ts'

export interface LocalNode {
  agent: Agent
  log: Log
  lock: ReturnType<typeof takeLock>
  /** Ends every engine and gives the home back. */
  close(): Promise<void>
}

/** @throws HolonError already_running, engine_unavailable, config_invalid */
export async function openLocalNode(
  config: Config,
  env: Record<string, string | undefined>,
  name?: string,
): Promise<LocalNode> {
  const { home } = config
  mkdirSync(home.root, { recursive: true, mode: 0o700 })
  const lock = takeLock(home)
  try {
    const log = createFileLog(home)
    const drivers = createDrivers({ home, log })
    const profile = await profileMachine({ home, drivers, chips })
    const source = attachSource(config, env)
    const options = {
      home,
      drivers,
      models: openModelStore(config, env),
      profile,
      memoryBudgetBytes: () => config.memoryBudgetBytes ?? profile.memory.usableBytes,
      clock: systemClock,
      log,
      name,
      prefer: config.engine,
      idleUnloadS: config.idleUnloadS,
      preload: config.preload,
      poolHangS: config.poolHangS,
    }
    const agent = await createAttachedAgent(options, source)
    return {
      agent,
      log,
      lock,
      close: async () => {
        await agent.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
