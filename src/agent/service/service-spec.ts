/** What a service runs, whatever the system calls it. */
import { resolve } from 'node:path'
import { HolonError } from '../../core/errors.ts'

export interface ServiceSpec {
  /** Program and arguments, absolute. */
  command: readonly string[]
  /** Who it runs as. */
  user: string
  /** HOLON_HOME. */
  home: string
  /** Settings to keep; secrets stay in HOLON_HOME. */
  environment: Readonly<Record<string, string>>
}

/** Settings that a service takes over from the shell that installs it. Keys and tokens do not belong in such a file. */
const kept = [
  // Systems start services with a short one, on which neither Homebrew nor a virtual environment with MLX is.
  'PATH',
  'HOLON_HOST',
  'HOLON_PORT',
  'HOLON_LEVEL',
  'HOLON_ENGINE',
  'HOLON_ENGINE_URL',
  'HOLON_ENGINE_MODELS',
  'HOLON_ENGINE_PARALLEL',
  'HOLON_ATTACH',
  'HOLON_MEMORY_BUDGET_MB',
  'HOLON_MODELS_DIR',
  'HOLON_MODEL',
  'HOLON_PRELOAD',
  'HOLON_IDLE_UNLOAD_S',
  'HOLON_POOL_HANG_S',
  'HOLON_LOG',
]

/** Likewise files, by their whole paths: a service starts in another folder. The key's contents stay where they are. */
const keptFiles = ['HOLON_TLS_CERT', 'HOLON_TLS_KEY', 'HOLON_TLS_CA']

export interface ServiceWish {
  /** `join` or `up`. */
  verb: 'join' | 'up'
  node: string
  program: string
  user: string
  home: string
  env: Record<string, string | undefined>
}

/** @throws HolonError usage for what no unit file can hold */
export function serviceSpec(wish: ServiceWish): ServiceSpec {
  const environment: Record<string, string> = { HOLON_HOME: wish.home }
  for (const name of kept) {
    const value = wish.env[name]
    if (value !== undefined && value !== '') environment[name] = value
  }
  for (const name of keptFiles) {
    const path = wish.env[name]
    if (path !== undefined && path !== '') environment[name] = resolve(path)
  }
  const { user, home, node, program, verb } = wish
  for (const text of [user, home, node, program, ...Object.values(environment)]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
    if (/[\x00-\x1f\x7f]/.test(text)) {
      throw new HolonError('usage', 'A service file cannot hold control characters.', {
        hint: 'Choose a HOLON_HOME and settings without line breaks.',
      })
    }
  }
  if (!/^[\w][\w.-]*\$?$/.test(user)) throw new HolonError('usage', `"${user}" is no user name.`)
  return { command: [node, program, verb, ...(verb === 'up' ? ['--no-open'] : [])], user, home, environment }
}
