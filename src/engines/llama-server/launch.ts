import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import { MiB } from '../../core/units.ts'
import type { EngineProcess, LaunchSpec } from '../engine.ts'
import { answersHealth, engineProcess } from '../shared/engine-process.ts'
import { availableMemoryBytes } from '../shared/memory.ts'
import { chooseContext, type ModelShape, poolsWholeInput, readModelShape } from '../shared/model-shape.ts'
import type { Spawned } from '../shared/spawn.ts'
import { spawnGuarded } from '../shared/spawn-guarded.ts'
import type { LlamaServerBinary } from './inspect.ts'

const smallModelBytes = 64 * MiB
const longestDecoderInput = 2048

/** Starts llama-server on a port of its own choosing and waits until it has answered one token. */
export async function launchLlamaServer(
  binary: LlamaServerBinary,
  home: Home,
  spec: LaunchSpec,
): Promise<EngineProcess> {
  spec.onProgress({ phase: 'reading the file', percent: 0, etaS: null })
  const shape = await readModelShape(spec.modelPath)
  const parallel = spec.embedding ? 1 : spec.parallel
  const chosen = chooseContext(shape, {
    contextTokens: spec.contextTokens,
    parallel,
    availableBytes: availableMemoryBytes(),
  })
  // Embedding reads an input as one batch, and a decoder's output layer is computed for all of it.
  const capped = spec.embedding && spec.contextTokens === null && !poolsWholeInput(shape)
  const contextTokens = capped ? Math.min(chosen, longestDecoderInput) : chosen
  spec.signal.throwIfAborted()
  const secret = randomBytes(32).toString('base64url')
  const keyFile = join(home.run, `engine-${randomBytes(8).toString('hex')}.key`)
  await mkdir(home.run, { recursive: true, mode: 0o700 })
  await writeFile(keyFile, `${secret}\n`, { mode: 0o600 })
  try {
    // Layers this small finish before a second thread has woken up: measured 205 tokens/s with one, 110 with two.
    const threads = spec.threads ?? (shape.weightsBytes < smallModelBytes ? 1 : null)
    const chosenSpec = { ...spec, parallel, contextTokens, threads, pooling: shape.pooling }
    return await start(binary, chosenSpec, { secret, keyFile })
  } finally {
    // Read once at the start; the secret lives on in two processes' memory only.
    await rm(keyFile, { force: true })
  }
}

type ChosenSpec = LaunchSpec & { contextTokens: number; pooling: ModelShape['pooling'] }

async function start(
  binary: LlamaServerBinary,
  spec: ChosenSpec,
  key: { secret: string; keyFile: string },
): Promise<EngineProcess> {
  const errors: string[] = []
  const port = deferredPort()
  let ready = false
  const child = await spawnGuarded({
    command: binary.path,
    args: commandLine(binary.flags, spec, key.keyFile),
    onLine: (line) => {
      const level = /^[\d.]+ ([IWED]) /.exec(line)?.[1] ?? 'W'
      if (level === 'E' || /\berror\b/i.test(line)) errors.push(line)
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
    const slot = await whileAlive(child, spec, errors, readContext(origin, headers, spec.signal))
    ready = true
    const { parallel, threads } = spec
    const contextTokens = slot ?? spec.contextTokens
    return engineProcess({ child, pid: child.enginePid, origin, headers, contextTokens, parallel, threads })
  } catch (error) {
    await child.stop(0)
    throw error
  }
}

/** Options differ between builds: what this one does not know is left out, or spelt the older way. */
export function commandLine(flags: ReadonlySet<string>, spec: ChosenSpec, keyFile: string): string[] {
  const args = ['-m', spec.modelPath, '--host', '127.0.0.1', '--port', '0', '--api-key-file', keyFile]
  args.push('-c', String(spec.contextTokens * spec.parallel), '-np', String(spec.parallel))
  const optional: [flag: string, value?: string][] = [
    ['--alias', spec.modelId.replaceAll(',', '_')],
    ['--jinja'],
    ['--metrics'],
    ['--slots'],
    flags.has('--no-ui') ? ['--no-ui'] : ['--no-webui'],
    ['--flash-attn', 'auto'],
    // Each conversation keeps its own share: one long prompt must not evict another's.
    ['--no-kv-unified'],
  ]
  if (spec.threads !== null) optional.push(['--threads', String(spec.threads)])
  // Its search for a fit costs half a second and has nothing to find without a GPU.
  if (!mayHaveGpu()) optional.push(['--fit', 'off'])
  if (spec.embedding) {
    // An encoder reads its input in one batch; batches shorter than the context would refuse long texts.
    const whole = String(spec.contextTokens)
    optional.push(['--embeddings'], ['--batch-size', whole], ['--ubatch-size', whole])
    // Without a rule of its own a model's last token speaks for the text, as in the embedded engine.
    if (spec.pooling === null || spec.pooling === 'none') optional.push(['--pooling', 'last'])
  }
  for (const [flag, value] of optional) {
    if (flags.has(flag)) args.push(flag, ...(value === undefined ? [] : [value]))
  }
  return args
}

function mayHaveGpu(): boolean {
  if (process.platform !== 'linux') return true
  return ['/proc/driver/nvidia', '/dev/kfd', '/dev/dri'].some((path) => existsSync(path))
}

/** The result of `work`, unless the process ends or the caller gives up first. */
async function whileAlive<T>(
  child: Spawned,
  spec: LaunchSpec,
  errors: readonly string[],
  work: Promise<T>,
): Promise<T> {
  let cancel: () => void = () => undefined
  const cancelled = new Promise<never>((_, reject) => {
    cancel = () => reject(spec.signal.reason)
    if (spec.signal.aborted) cancel()
    else spec.signal.addEventListener('abort', cancel, { once: true })
  })
  const died = child.exited.then((exit): never => {
    throw loadFailure(errors, exit.reason)
  })
  try {
    return await Promise.race([work, died, cancelled])
  } finally {
    spec.signal.removeEventListener('abort', cancel)
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
async function canary(origin: string, headers: Record<string, string>, spec: LaunchSpec): Promise<void> {
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
