import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../core/clock.ts'
import { asHolonError } from '../core/errors.ts'
import { formatSeconds } from '../core/units.ts'
import { newSecret } from '../hub/auth/secrets.ts'
import { createHub } from '../hub/hub.ts'
import type { NodeModel } from '../protocol/model.ts'
import type { NodeHandle } from '../protocol/node.ts'
import { adviceFor } from './advice.ts'
import type { Config } from './config.ts'
import { openLocalNode } from './local-node.ts'
import type { Printer } from './printer.ts'
import { version } from './version.ts'

export interface Holon {
  readonly url: string
  readonly version: string
  /** What to do next, when there is something to do. */
  advice(): string | null
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
export async function startHolon(
  config: Config,
  env: Record<string, string | undefined>,
  printer: Printer,
  signal: AbortSignal,
): Promise<Holon> {
  const local = await openLocalNode(config, env)
  const { agent, log, lock } = local
  const opened: (() => Promise<void> | void)[] = [local.close]
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end()
  }
  try {
    const localKey = newSecret('hlocal')
    const hub = createHub({
      config: {
        host: config.host,
        port: config.port,
        version,
        home: config.home.root,
        databaseUrl: config.databaseUrl ?? undefined,
        apiKey: config.apiKey ?? undefined,
        level: config.level,
        localKey,
        tls: config.tls ?? undefined,
        assetsDir: join(packageFolder, 'web', 'dist'),
      },
      nodes: [agent],
      advice: () => adviceFor(agent.state()),
      clock: systemClock,
      log,
    })
    opened.push(() => hub.close())
    const { url } = await hub.listen()
    lock.publish(url, localKey, config.tls?.cert ?? null)
    return {
      url,
      version,
      close,
      advice: () => adviceFor(agent.state()),
      warmUp: () => warmUp(agent, config.model, printer, signal),
    }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Loads the model that will most likely be asked for: the one named, else the only real one, else the demonstration.
 * With several real models and no name there is no good guess, and the first question decides.
 */
async function warmUp(
  node: NodeHandle,
  wanted: string | null,
  printer: Printer,
  signal: AbortSignal,
): Promise<void> {
  const usable = node.state().models.filter((model) => model.problem === null && !model.embedding)
  const real = usable.filter((model) => !model.demo)
  // What another program holds is not loaded there without being asked for.
  const attached = usable.some((model) => model.engine !== undefined)
  const model = wanted ?? (real.length <= 1 && !attached ? (real[0] ?? usable[0])?.id : undefined)
  if (model === undefined) {
    printer.line(`Models: ${usable.map(nameWithEngine).join(', ') || 'none yet; get one with `holon pull`'}.`)
    return
  }
  const started = systemClock.now()
  const progress = printer.progress(`Loading ${model}`)
  try {
    const lease = await node.acquire(model, {
      signal,
      onProgress: ({ percent, phase }) => progress.update(percent === null ? null : percent / 100, phase),
    })
    lease.release()
    progress.stop()
    printer.line(
      `${printer.strong(model)} is ready on ${lease.engine} (${formatSeconds((systemClock.now() - started) / 1000)}).`,
    )
  } catch (error) {
    progress.stop()
    if (signal.aborted) return
    printer.error(asHolonError(error))
  }
}

function nameWithEngine({ id, engine }: NodeModel): string {
  return engine === undefined ? id : `${id} (${engine})`
}
