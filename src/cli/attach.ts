/**
 * Which engines that are already there a node offers. Named with HOLON_ENGINE: that one alone, and a wrong address is
 * refused at the start. Otherwise a running Ollama or LM Studio at its usual place on this machine, since their owner
 * will look for those models here; HOLON_ATTACH=off leaves them alone. No other engine is taken unasked.
 */
import { homedir } from 'node:os'
import type { AttachSource } from '../agent/attached.ts'
import { HolonError } from '../core/errors.ts'
import { type AttachedEngine, engineUrl, findAttachable } from '../engines/index.ts'
import { findEngines } from '../profile/engines-found/index.ts'
import type { Config } from './config.ts'

type Env = Record<string, string | undefined>

/** Found and offered without being asked: both exist to serve models to whoever asks on this machine. */
const offeredUnasked = ['ollama', 'lm-studio']

/** @throws HolonError config_invalid */
export function attachSource(config: Config, env: Env): AttachSource {
  const named = config.engineModels
  const wanted = config.engine === null ? null : findAttachable(config.engine)
  if (wanted) {
    const engine = attachNamed(config, env, wanted)
    return { find: async () => [engine], explicit: true, named }
  }
  const setting =
    config.engineUrl !== null ? 'HOLON_ENGINE_URL' : named.length > 0 ? 'HOLON_ENGINE_MODELS' : null
  if (setting !== null) {
    throw new HolonError('config_invalid', `${setting} is set, but HOLON_ENGINE names no engine to attach.`, {
      hint: 'Set HOLON_ENGINE to openai, ollama, lm-studio, mlx, vllm or exo.',
    })
  }
  // Whoever chose one of Holon's own engines wants that.
  if (!config.attach || config.engine !== null) return { find: async () => [], explicit: false, named: [] }
  return { find: () => findRunning(config, env), explicit: false, named: [] }
}

function attachNamed(
  config: Config,
  env: Env,
  wanted: NonNullable<ReturnType<typeof findAttachable>>,
): AttachedEngine {
  const given = config.engineUrl ?? (wanted.id === 'ollama' ? ollamaHost(env) : null) ?? wanted.usualUrl
  if (given === null) {
    throw new HolonError('config_invalid', `HOLON_ENGINE=${wanted.id} needs the address of the engine.`, {
      hint: 'Set HOLON_ENGINE_URL, for example http://127.0.0.1:8000.',
    })
  }
  return wanted.attach({
    url: engineUrl(given, ownAddresses(config)),
    headers: config.engineKey === null ? {} : { authorization: `Bearer ${config.engineKey}` },
    models: config.engineModels,
    parallel: config.engineParallel,
  })
}

async function findRunning(config: Config, env: Env): Promise<AttachedEngine[]> {
  const found = await findEngines({ env, userFolder: homedir() })
  return found.flatMap((engine) => {
    const known = findAttachable(engine.id)
    if (!engine.available || engine.url === null || !known || !offeredUnasked.includes(known.id)) return []
    const url = engineUrl(engine.url, [])
    if (ownAddresses(config).some((own) => new URL(own).origin === url)) return []
    return [known.attach({ url, headers: {}, models: [], parallel: config.engineParallel })]
  })
}

function ownAddresses(config: Config): string[] {
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  const own = [`http://127.0.0.1:${config.port}`, `http://${host}:${config.port}`]
  if (config.hub !== null) own.push(config.hub)
  return own
}

/** Where Ollama's own variable says it is; it leaves out the protocol and the port where it likes. */
function ollamaHost(env: Env): string | null {
  const host = env.OLLAMA_HOST?.trim()
  if (!host) return null
  const url = host.includes('://') ? host : `http://${host}`
  if (!URL.canParse(url)) return null
  const parsed = new URL(url)
  if (parsed.port === '' && !host.includes('://')) parsed.port = '11434'
  // It listens on every address, but 0.0.0.0 is none to call.
  if (parsed.hostname === '0.0.0.0') parsed.hostname = '127.0.0.1'
  return parsed.origin
}
