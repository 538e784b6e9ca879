/**
 * One llama-server process from its command line to its first token, whoever needs it: a model of this machine's own,
 * or the head of a pool. It listens on loopback, on a port of its own choosing, behind a secret of this launch.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { LaunchSpec } from '../engine.ts'
import { answersHealth } from '../shared/engine-process.ts'
import type { Spawned } from '../shared/spawn.ts'
import { Guard } from '../shared/spawn-guarded.ts'

export interface ServeOptions
  extends Pick<LaunchSpec, 'modelId' | 'embedding' | 'signal' | 'onProgress' | 'onLog'> {
  binary: string
  args: readonly string[]
  env?: NodeJS.ProcessEnv
  /** One that is up already, to run it under. */
  guard?: Guard
  /** Where the key lies until the process has read it. */
  home: Home
}

export interface Serving {
  child: Spawned & { enginePid: number }
  origin: string
  headers: Record<string, string>
  /** Tokens per sequence as allotted, which llama.cpp rounds; null when it does not say. */
  slotTokens: number | null
}

/**
 * Resolves when a token, or an embedding, has come out.
 * @throws HolonError model_file_invalid, model_too_big, model_load_failed; the signal's reason. The process has ended then
 */
export async function serveLlama(options: ServeOptions): Promise<Serving> {
  const { home } = options
  const secret = randomBytes(32).toString('base64url')
  const keyFile = join(home.run, `engine-${randomBytes(8).toString('hex')}.key`)
  await mkdir(home.run, { recursive: true, mode: 0o700 })
  await writeFile(keyFile, `${secret}\n`, { mode: 0o600 })
  try {
    return await start(options, { secret, keyFile })
  } finally {
    // Read once at the start; the secret lives on in two processes' memory only.
    await rm(keyFile, { force: true })
  }
}

async function start(spec: ServeOptions, key: { secret: string; keyFile: string }): Promise<Serving> {
  const errors: string[] = []
  const port = deferredPort()
  let ready = false
  const child = await (spec.guard ?? new Guard()).run({
    command: spec.binary,
    args: [...spec.args, '--host', '127.0.0.1', '--port', '0', '--api-key-file', key.keyFile],
    env: spec.env,
    onLine: (line) => {
      const level = /^[\d.]+ ([IWED]) /.exec(line)?.[1] ?? 'W'
      // Why it does not start; one that serves may complain for months.
      if (!ready && (level === 'E' || /\berror\b/i.test(line))) errors.push(line)
      const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)
      if (listening) port.resolve(Number(listening[1]))
      // While it serves, its notes are one line per request and more: only what is wrong is worth keeping.
      if (!ready || level === 'W' || level === 'E') spec.onLog(line)
    },
  })
  const headers = { authorization: `Bearer ${key.secret}` }
  try {
    spec.onProgress({ phase: 'reading weights', percent: null, etaS: null })
    const origin = `http://127.0.0.1:${await whileAlive(child, spec, errors, port.promise)}`
    await whileAlive(child, spec, errors, untilHealthy(origin, spec.signal))
    spec.onProgress({ phase: 'warming up', percent: null, etaS: null })
    await whileAlive(child, spec, errors, canary(origin, headers, spec))
    const slotTokens = await whileAlive(child, spec, errors, readContext(origin, headers, spec.signal))
    ready = true
    return { child, origin, headers, slotTokens }
  } catch (error) {
    await child.stop(0)
    throw error
  }
}

/** The result of `work`, unless the process ends or the caller gives up first. */
async function whileAlive<T>(
  child: Spawned,
  { signal }: ServeOptions,
  errors: readonly string[],
  work: Promise<T>,
): Promise<T> {
  let cancel: () => void = () => undefined
  const cancelled = new Promise<never>((_, reject) => {
    cancel = () => reject(signal.reason)
    if (signal.aborted) cancel()
    else signal.addEventListener('abort', cancel, { once: true })
  })
  const died = child.exited.then((exit): never => {
    throw loadFailure(errors, exit.reason)
  })
  try {
    return await Promise.race([work, died, cancelled])
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** llama-server names the reason on its log, then says several times that it failed. */
export function loadFailure(errors: readonly string[], reason: string): HolonError {
  const text = errors.join('\n')
  const cause = /error loading model: (.+)/.exec(text)?.[1]
  const architecture = /unknown model architecture: '([^']*)'/.exec(text)?.[1]
  if (architecture !== undefined) {
    return new HolonError(
      'model_file_invalid',
      `The model's architecture "${architecture}" is not known to this llama-server.`,
      { source: 'engine', hint: 'Update llama.cpp, or use another build of the model.' },
    )
  }
  if (/out of memory|failed to allocate|unable to allocate|insufficient memory/i.test(text)) {
    return new HolonError('model_too_big', 'llama-server ran out of memory while it loaded the model.', {
      source: 'engine',
    })
  }
  const why = cause ? `llama-server could not load the model: ${cause}.` : `${reason} It was loading a model.`
  return new HolonError('model_load_failed', why, { source: 'engine', hint: 'The log says more.' })
}

function deferredPort(): { promise: Promise<number>; resolve(port: number): void } {
  let resolve: (port: number) => void = () => undefined
  const promise = new Promise<number>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

async function untilHealthy(origin: string, signal: AbortSignal): Promise<void> {
  while (!(await answersHealth(origin, signal))) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    signal.throwIfAborted()
  }
}

/** An open port is no readiness: one token is. */
async function canary(origin: string, headers: Record<string, string>, spec: ServeOptions): Promise<void> {
  const path = spec.embedding ? '/v1/embeddings' : '/v1/completions'
  const body = spec.embedding
    ? { model: spec.modelId, input: 'ready' }
    : { model: spec.modelId, prompt: 'ready', max_tokens: 1, cache_prompt: false }
  const response = await fetch(`${origin}${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: spec.signal,
  })
  const text = await response.text()
  if (!response.ok) {
    throw new HolonError(
      'model_load_failed',
      `llama-server loaded the model but cannot answer: ${text.slice(0, 300)}.`,
      { source: 'engine' },
    )
  }
}

/** Tokens per slot as allotted; llama.cpp rounds. */
async function readContext(
  origin: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<number | null> {
  const response = await fetch(`${origin}/props`, { headers, signal })
  const props = (await response.json()) as { default_generation_settings?: { n_ctx?: number } }
  return props.default_generation_settings?.n_ctx ?? null
}
