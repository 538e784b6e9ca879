import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { HolonError } from '../core/errors.ts'
import { type Home, homeAt } from '../core/home.ts'
import { MiB } from '../core/units.ts'

/**
 * Settings, resolved once: flag > environment > `holon.toml` > default. The file lies in HOLON_HOME and uses the
 * names below in lower case; `holon.toml` never holds secrets that the environment can carry instead.
 */
export interface Config {
  home: Home
  host: string
  port: number
  /** Address of the hub that commands talk to, when it is not the one of this HOLON_HOME. */
  hub: string | null
  apiKey: string | null
  databaseUrl: string | null
  /** Engine to prefer, by id. */
  engine: string | null
  /** Where an engine that is already there listens. */
  engineUrl: string | null
  /** Models of it to offer; all when empty. */
  engineModels: readonly string[]
  engineKey: string | null
  /** Answers it can give at once; null takes the engine's usual. */
  engineParallel: number | null
  /** Offer a running Ollama or LM Studio without being told to. */
  attach: boolean
  /** Engines that are already there and were named beside `engine`. */
  attached: readonly AttachWish[]
  /** What models may take in memory on this node, in bytes; null lets the profile decide. */
  memoryBudgetBytes: number | null
  /** Model to load at start. */
  model: string | null
  /** Models to load at start and to keep in memory. */
  preload: readonly string[]
  /** Unload a model after this many idle seconds; 0 keeps it. */
  idleUnloadS: number
  /** Seconds in which nothing of an answer of a llama.cpp pool moves before its group is ended and formed anew; null: the usual. */
  poolHangS: number | null
  /** What happens when no machine keeps a lane's level: `effort` serves as well as can be, `enforce` refuses. */
  level: 'effort' | 'enforce'
  hfToken: string | null
  /** Serve TLS with this certificate and key, files in PEM. */
  tls: { cert: string; key: string } | null
  /** A file of authorities to trust beside the system's, for a hub with its own. */
  tlsCa: string | null
}

/** One engine of the list `attach`: `ollama`, `vllm@http://127.0.0.1:8000`, or a table of holon.toml. */
export interface AttachWish {
  engine: string
  url: string | null
  models: readonly string[]
  key: string | null
  parallel: number | null
}

const text = z.string().trim().min(1)
const wholeNumber = z.union([z.number(), text.regex(/^\d+$/, 'must be a whole number').transform(Number)])

const attachForm =
  'must be on, off, or a list such as ollama,vllm@http://127.0.0.1:8000 (holon engines lists what is there)'
const attachTable = z.strictObject({
  engine: text,
  url: text.optional(),
  models: z.array(text).optional(),
  /** The variable of the environment that holds its key: the file holds no secrets. */
  key_env: text.optional(),
  parallel: z.number().int().min(1).max(1024).optional(),
})

const fields = {
  host: text.default('127.0.0.1'),
  port: wholeNumber.pipe(z.number().int().min(0).max(65_535)).default(4656),
  hub: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) address such as http://127.0.0.1:4656' })
    .optional(),
  api_key: text.optional(),
  database_url: text.optional(),
  engine: text.optional(),
  engine_url: text.optional(),
  engine_models: z.union([text, z.array(text)]).optional(),
  engine_key: text.optional(),
  engine_parallel: wholeNumber.pipe(z.number().int().min(1).max(1024)).optional(),
  attach: z.union([text, z.array(z.union([text, attachTable]))], { error: attachForm }).default('on'),
  memory_budget_mb: wholeNumber.pipe(z.number().int().min(64)).optional(),
  model: text.optional(),
  preload: z.union([text, z.array(text)]).optional(),
  idle_unload_s: wholeNumber.pipe(z.number().int().min(0)).default(600),
  pool_hang_s: wholeNumber.pipe(z.number().int().min(5).max(3600)).optional(),
  level: z.enum(['effort', 'enforce'], { error: 'must be effort or enforce' }).default('effort'),
  hf_token: text.optional(),
  tls_cert: text.optional(),
  tls_key: text.optional(),
  tls_ca: text.optional(),
}
type Field = keyof typeof fields

const environmentName = (field: Field) =>
  field === 'database_url' || field === 'hf_token' ? field.toUpperCase() : `HOLON_${field.toUpperCase()}`

export type Flags = Partial<Record<Field, string | number | undefined>>

/**
 * @throws HolonError config_invalid, naming the setting, where it came from and what it may be
 */
export function resolveConfig(env: Record<string, string | undefined>, flags: Flags = {}): Config {
  const root = resolve(env.HOLON_HOME?.trim() || join(homedir(), '.holon'))
  const file = readFile(join(root, 'holon.toml'))
  const pick = <F extends Field>(field: F): z.output<(typeof fields)[F]> => {
    const variable = environmentName(field)
    const [value, origin] =
      flags[field] !== undefined
        ? [flags[field], `--${field.replaceAll('_', '-')}`]
        : env[variable]?.trim()
          ? [env[variable], variable]
          : [file[field], `${field} in holon.toml`]
    const parsed = fields[field].safeParse(value)
    if (parsed.success) return parsed.data as z.output<(typeof fields)[F]>
    throw new HolonError(
      'config_invalid',
      `${origin} is "${String(value)}": ${parsed.error.issues[0]?.message}.`,
      {
        hint: 'Correct or remove the setting.',
      },
    )
  }
  const budget = pick('memory_budget_mb')
  const attach = pick('attach')
  return {
    home: homeAt(root),
    host: pick('host'),
    port: pick('port'),
    hub: pick('hub')?.replace(/\/+$/, '') ?? null,
    apiKey: pick('api_key') ?? null,
    databaseUrl: pick('database_url') ?? null,
    engine: pick('engine') ?? null,
    engineUrl: pick('engine_url') ?? null,
    engineModels: listOf(pick('engine_models')),
    engineKey: pick('engine_key') ?? null,
    engineParallel: pick('engine_parallel') ?? null,
    attach: attach === 'on',
    attached: attach === 'on' || attach === 'off' ? [] : attachWishes(attach, env),
    memoryBudgetBytes: budget === undefined ? null : budget * MiB,
    model: pick('model') ?? null,
    preload: listOf(pick('preload')),
    idleUnloadS: pick('idle_unload_s'),
    poolHangS: pick('pool_hang_s') ?? null,
    level: pick('level'),
    hfToken: pick('hf_token') ?? null,
    tls: bothOrNeither(pick('tls_cert'), pick('tls_key')),
    tlsCa: pick('tls_ca') ?? null,
  }
}

/** @throws HolonError config_invalid */
function attachWishes(
  given: string | (string | z.output<typeof attachTable>)[],
  env: Record<string, string | undefined>,
): AttachWish[] {
  const list = typeof given === 'string' ? listOf(given) : given
  const plain = { models: [], key: null, parallel: null }
  return list.map((item) => {
    if (typeof item !== 'string') {
      const { engine, url = null, models = [], key_env, parallel = null } = item
      const key = key_env === undefined ? null : (env[key_env]?.trim() ?? '')
      if (key === '') {
        throw new HolonError(
          'config_invalid',
          `The variable ${key_env}, with the key of ${engine}, is not set.`,
          {
            hint: `Set it, or take key_env out of holon.toml.`,
          },
        )
      }
      return { engine, url, models, key, parallel }
    }
    const [, engine, url] = /^([^@\s]+)(?:@(\S+))?$/.exec(item) ?? []
    if (engine === undefined) {
      throw new HolonError('config_invalid', `"${item}" in HOLON_ATTACH names no engine.`, {
        hint: `It ${attachForm}.`,
      })
    }
    return { ...plain, engine, url: url ?? null }
  })
}

/** @throws HolonError config_invalid */
function bothOrNeither(cert: string | undefined, key: string | undefined): Config['tls'] {
  if (cert !== undefined && key !== undefined) return { cert: resolve(cert), key: resolve(key) }
  if (cert === undefined && key === undefined) return null
  const [there, missing] = cert === undefined ? ['key', 'certificate'] : ['certificate', 'key']
  throw new HolonError('config_invalid', `A TLS ${there} is set, and no ${missing} with it.`, {
    hint: 'Set both HOLON_TLS_CERT and HOLON_TLS_KEY (or --tls-cert and --tls-key), or neither.',
  })
}

/** `a,b` as an environment variable has it, or a list as a file has it. */
function listOf(value: string | string[] | undefined): string[] {
  const names = typeof value === 'string' ? value.split(',') : (value ?? [])
  return [...new Set(names.map((name) => name.trim()).filter((name) => name !== ''))]
}

function readFile(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {}
  let settings: Record<string, unknown>
  try {
    settings = parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new HolonError('config_invalid', `${path} is no valid TOML: ${reason}`, {
      hint: 'Correct the file.',
      cause,
    })
  }
  const unknown = Object.keys(settings).filter((key) => !(key in fields))
  if (unknown.length > 0) {
    throw new HolonError('config_invalid', `${path} has unknown settings: ${unknown.join(', ')}.`, {
      hint: `Known are ${Object.keys(fields).join(', ')}.`,
    })
  }
  return settings
}
