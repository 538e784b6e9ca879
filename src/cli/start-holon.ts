import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createAgent } from '../agent/agent.ts'
import { createModelStore } from '../agent/models/model-store.ts'
import { systemClock } from '../core/clock.ts'
import { asHolonError } from '../core/errors.ts'
import { createDrivers } from '../engines/index.ts'
import { createHub } from '../hub/hub.ts'
import { profileMachine } from '../profile/profile-machine.ts'
import type { NodeModel } from '../protocol/model.ts'
import { adviceFor } from './advice.ts'
import type { Config } from './config.ts'
import { createFileLog } from './file-log.ts'
import { takeLock } from './home-lock.ts'
import type { Printer } from './printer.ts'
import { version } from './version.ts'

export interface Holon {
  readonly url: string
  readonly version: string
  /** Loads the first model with progress, so that the first question finds it ready. A failure is told, not thrown. */
  warmUp(): Promise<void>
  /** Ends the hub, every engine and the store, and gives the home back. Bounded in time. */
  close(): Promise<void>
}

const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

/**
 * A hub and an agent in this process, the one behind the other. What was opened is closed again when a later step fails.
 * @throws HolonError already_running, port_in_use, engine_unavailable, config_invalid
 */
export async function startHolon(config: Config, printer: Printer, signal: AbortSignal): Promise<Holon> {
  const { home } = config
  mkdirSync(home.root, { recursive: true, mode: 0o700 })
  const lock = takeLock(home)
  const opened: (() => Promise<void> | void)[] = [lock.release]
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end()
  }
  try {
    const log = createFileLog(home)
    const drivers = createDrivers({ home, log })
    const profile = await profileMachine({ home, drivers })
    const models = createModelStore({ home, demoPath: join(packageFolder, 'assets', 'holon-demo.gguf'), log })
    const agent = await createAgent({
      home,
      drivers,
      models,
      profile,
      memoryBudgetBytes: () => config.memoryBudgetBytes ?? profile.memory.usableBytes,
      clock: systemClock,
      log,
      prefer: config.engine,
      idleUnloadS: config.idleUnloadS,
    })
    opened.push(() => agent.close())
    const hub = createHub({
      config: {
        host: config.host,
        port: config.port,
        version,
        home,
        databaseUrl: config.databaseUrl,
        assetsDir: join(packageFolder, 'web', 'dist'),
      },
      nodes: [agent],
      advice: () => adviceFor(agent.state()),
      clock: systemClock,
      log,
    })
    opened.push(() => hub.close())
    const { url } = await hub.listen()
    lock.publish(url)
    return { url, version, close, warmUp: () => warmUp(agent, config, printer, signal) }
  } catch (error) {
    await close()
    throw error
  }
}
