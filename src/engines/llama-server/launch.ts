import { existsSync } from 'node:fs'
import type { Home } from '../../core/home.ts'
import { MiB } from '../../core/units.ts'
import type { EngineProcess, LaunchSpec } from '../engine.ts'
import { allottedThreads } from '../shared/allotted-threads.ts'
import { engineProcess } from '../shared/engine-process.ts'
import { availableMemoryBytes } from '../shared/memory.ts'
import { chooseContext, type ModelShape, poolsWholeInput, readModelShape } from '../shared/model-shape.ts'
import type { LlamaServerBinary } from './inspect.ts'
import { serveLlama } from './serve.ts'

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
  // Layers this small finish before a second thread has woken up: measured 205 tokens/s with one, 110 with two.
  const threads = spec.threads ?? (shape.weightsBytes < smallModelBytes ? 1 : allottedThreads())
  const chosenSpec = { ...spec, parallel, contextTokens, threads, pooling: shape.pooling }
  const args = commandLine(binary.flags, chosenSpec)
  const { child, origin, headers, slotTokens } = await serveLlama({
    ...spec,
    binary: binary.path,
    args,
    home,
  })
  return engineProcess({
    child,
    pid: child.enginePid,
    origin,
    headers,
    contextTokens: slotTokens ?? contextTokens,
    parallel,
    threads,
  })
}

/** What the command line is made of. */
export type ChosenSpec = Pick<LaunchSpec, 'modelId' | 'modelPath' | 'parallel' | 'threads' | 'embedding'> & {
  contextTokens: number
  pooling: ModelShape['pooling']
}

/** Options differ between builds: what this one does not know is left out, or spelt the older way. */
export function commandLine(flags: ReadonlySet<string>, spec: ChosenSpec): string[] {
  const args = ['-m', spec.modelPath]
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
