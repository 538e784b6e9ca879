/** The engines on this machine that Holon did not start, as `holon engines` lists them: those it attaches and the rest. */
import { homedir } from 'node:os'
import { engineUrl, findAttachable } from '../engines/index.ts'
import { findEngines } from '../profile/engines-found/index.ts'
import type { EngineFound } from '../protocol/machine.ts'
import { attachSource, wayToAttach } from './attach.ts'
import type { Config } from './config.ts'

type Env = Record<string, string | undefined>

export interface OtherEngine extends EngineFound {
  state: 'running' | 'not answering' | 'installed'
  /** A Holon that is started with these settings offers its models. */
  offered: boolean
  /** Why it is offered or not, and how to change that. */
  because: string
}

const patienceMs = 5_000

/** @throws HolonError config_invalid */
export async function enginesOfOthers(
  config: Config,
  env: Env,
  find: () => Promise<EngineFound[]> = () => findEngines({ env, userFolder: homedir() }),
): Promise<OtherEngine[]> {
  const [attachments, found] = await Promise.all([attachSource(config, env).find(), find()])
  const attached = await Promise.all(
    attachments.map(async ({ engine, explicit }): Promise<OtherEngine> => {
      const detected = await engine.detect(AbortSignal.timeout(patienceMs))
      return {
        ...detected,
        state: detected.available ? 'running' : 'not answering',
        offered: true,
        because: explicit
          ? 'offered because you named it.'
          : 'offered unasked, for it serves whoever asks on this machine; HOLON_ATTACH=off leaves it alone.',
      }
    }),
  )
  const taken = new Set(attached.map(({ url }) => url))
  const rest = found.flatMap((engine): OtherEngine[] => {
    // An llama-server that only lies here is Holon's own to run.
    if (engine.url === null && engine.id === 'llama-server') return []
    if (engine.url !== null && taken.has(engineUrl(engine.url, []))) return []
    const id = findAttachable(engine.id)?.id ?? engine.id
    return [{ ...engine, id, ...notOffered(engine) }]
  })
  return [...attached, ...rest]
}

function notOffered({ id, url, whyNot }: EngineFound): Pick<OtherEngine, 'state' | 'offered' | 'because'> {
  if (url === null)
    return { state: 'installed', offered: false, because: 'offered once it runs and is attached.' }
  const because = `not offered; ${wayToAttach(id, url)} offers it.`
  return { state: whyNot === null ? 'running' : 'not answering', offered: false, because }
}
