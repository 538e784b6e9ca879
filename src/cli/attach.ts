/**
 * Which engines that are already there a node offers. Named with HOLON_ENGINE or HOLON_ATTACH: those alone, and a wrong
 * address is refused at the start. Otherwise a running Ollama or LM Studio at its usual place on this machine, since
 * their owner will look for those models here; HOLON_ATTACH=off leaves them alone. No other engine is taken unasked.
 */
import { homedir } from 'node:os'
import type { Attachment, AttachSource } from '../agent/attached.ts'
import { HolonError } from '../core/errors.ts'
import { attachableIds, engineUrl, findAttachable } from '../engines/index.ts'
import { findEngines } from '../profile/engines-found/index.ts'
import type { AttachWish, Config } from './config.ts'

type Env = Record<string, string | undefined>

/** Found and offered without being asked: both exist to serve models to whoever asks on this machine. */
export const offeredUnasked: readonly string[] = ['ollama', 'lm-studio']

/** @throws HolonError config_invalid */
export function attachSource(config: Config, env: Env): AttachSource {
  const wishes = [...config.attached]
  const wanted = config.engine === null ? null : findAttachable(config.engine)
  if (wanted) {
    wishes.unshift({
      engine: wanted.id,
      url: config.engineUrl,
      models: config.engineModels,
      key: config.engineKey,
      parallel: config.engineParallel,
    })
  } else refuseHomeless(config)
  if (wishes.length > 0) {
    const attachments = wishes.map((wish) => attachNamed(config, env, wish))
    return { find: async () => attachments }
  }
  // Whoever chose one of Holon's own engines wants that.
  if (!config.attach || config.engine !== null) return { find: async () => [] }
  return { find: () => findRunning(config, env) }
}

/** Settings of an engine that was not named. */
function refuseHomeless(config: Config): void {
  const setting =
    config.engineUrl !== null
      ? 'HOLON_ENGINE_URL'
      : config.engineModels.length > 0
        ? 'HOLON_ENGINE_MODELS'
        : null
  if (setting === null) return
  throw new HolonError('config_invalid', `${setting} is set, but HOLON_ENGINE names no engine to attach.`, {
    hint: `Set HOLON_ENGINE to one of ${attachableIds.join(', ')}.`,
  })
}

function attachNamed(config: Config, env: Env, wish: AttachWish): Attachment {
  const known = findAttachable(wish.engine)
  if (!known) {
    throw new HolonError('config_invalid', `There is no engine "${wish.engine}" that could be attached.`, {
      hint: `Known are ${attachableIds.join(', ')}.`,
    })
  }
  const given = wish.url ?? (known.id === 'ollama' ? ollamaHost(env) : null) ?? known.usualUrl
  if (given === null) {
    throw new HolonError('config_invalid', `The engine ${known.id} needs an address.`, {
      hint: 'Set HOLON_ENGINE_URL, or write it into HOLON_ATTACH: openai@http://127.0.0.1:8000.',
    })
  }
  const engine = known.attach({
    url: engineUrl(given, ownAddresses(config)),
    headers: wish.key === null ? {} : { authorization: `Bearer ${wish.key}` },
    models: wish.models,
    parallel: wish.parallel,
  })
  return { engine, explicit: true, named: wish.models }
}

async function findRunning(config: Config, env: Env): Promise<Attachment[]> {
  const found = await findEngines({ env, userFolder: homedir() })
  return found.flatMap((engine) => {
    const known = findAttachable(engine.id)
    if (!engine.available || engine.url === null || !known || !offeredUnasked.includes(known.id)) return []
    const url = engineUrl(engine.url, [])
    if (ownAddresses(config).some((own) => new URL(own).origin === url)) return []
    const options = { url, headers: {}, models: [], parallel: config.engineParallel }
    return [{ engine: known.attach(options), explicit: false, named: [] }]
  })
}

/** What to set so that an engine that was found is offered; its name alone where it is at its usual place. */
export function wayToAttach(id: string, url: string): string {
  // A llama-server with a model of its own is any OpenAI server.
  const known = findAttachable(id) ?? findAttachable('openai')!
  return `HOLON_ATTACH=${known.usualUrl === url ? known.id : `${known.id}@${url}`}`
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
