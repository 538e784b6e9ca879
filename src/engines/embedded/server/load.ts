import { availableParallelism } from 'node:os'
import { HolonError } from '../../../core/errors.ts'
import { ggufArray, ggufNumber, ggufString } from '../../../formats/gguf/gguf-header.ts'
import type { LoadProgress } from '../../../protocol/model.ts'
import { availableMemoryBytes } from '../../shared/memory.ts'
import { chooseContext, type ModelShape, poolsWholeInput, readModelShape } from '../../shared/model-shape.ts'
import { loadNative, type NativeContext, type NativeModel, type NativeModule } from './binding.ts'
import { ChatTemplate } from './chat-template.ts'
import { Decoder } from './decoder.ts'
import { Embedder } from './embedder.ts'
import { defaultSampling, type Sampling } from './sampling.ts'
import { measureThreads, ThreadCache, type Threads, threadCandidates, warmUp } from './threads.ts'
import { Vocabulary } from './vocabulary.ts'

/** What the launcher tells the engine's process, over IPC: the secret must not show in a process list. */
export interface ServerConfig {
  native: string
  modelId: string
  modelPath: string
  contextTokens: number | null
  parallel: number
  threads: number | null
  embedding: boolean
  secret: string
  threadCache: string
}

/** A model in memory with everything that answers from it. */
export interface LoadedModel {
  id: string
  path: string
  native: NativeModule
  model: NativeModel
  vocabulary: Vocabulary
  vocabularySize: number
  template: ChatTemplate
  /** How tokens are chosen when a request does not say. */
  sampling: Omit<Sampling, 'seed'>
  /** Null for an embedding model. */
  decoder: Decoder | null
  embedder: Embedder
  contextTokens: number
  parallel: number
  threads: Threads
  shape: ModelShape
}

export interface Report {
  progress(progress: LoadProgress): void
  log(line: string): void
}

const batchSize = 512
const maxWaiting = 64

/** @throws HolonError model_file_missing, model_file_invalid, model_too_big, model_load_failed */
export async function loadModel(config: ServerConfig, report: Report): Promise<LoadedModel> {
  report.progress({ phase: 'reading the file', percent: 0, etaS: null })
  const shape = await readModelShape(config.modelPath)
  const errors: string[] = []
  const native = await loadNative(config.native, (level, text) => {
    const line = text.trim()
    if (line.length < 2) return
    if (level <= 2) errors.push(line)
    report.log(line)
  })
  const { architecture, header } = shape
  if (!native.getIsArchSupported(architecture)) {
    throw new HolonError(
      'model_file_invalid',
      `The model's architecture "${architecture}" is not known to this engine (llama.cpp v0.5.0).`,
      { hint: 'Use another build of the model, or a newer Holon.' },
    )
  }
  const gpu = native.getGpuType() || null
  const availableBytes = memoryFor(native, gpu)
  const contextTokens = chooseContext(shape, {
    contextTokens: config.contextTokens,
    parallel: config.embedding ? 1 : config.parallel,
    availableBytes,
  })
  const model = await readWeights(native, config, shape, gpu, contextTokens, errors, report)
  const vocabulary = new Vocabulary(model)
  const threads = gpu ? gpuThreads() : { decode: config.threads ?? 0, prefill: config.threads ?? 0 }
  const embedder = new Embedder({
    native,
    model,
    contextTokens,
    threads,
    wholeInput: poolsWholeInput(shape),
    failure: () => failure(errors),
  })
  const loaded = {
    id: config.modelId,
    path: config.modelPath,
    native,
    model,
    vocabulary,
    vocabularySize: ggufArray(header, 'tokenizer.ggml.tokens')?.length ?? 0,
    template: readTemplate(shape, vocabulary, model),
    sampling: readSampling(shape),
    embedder,
    contextTokens,
    parallel: config.parallel,
    threads,
    shape,
  }
  if (loaded.template.broken) report.log(`chat template cannot be read: ${loaded.template.broken}`)
  if (config.embedding) {
    if (threads.decode === 0) Object.assign(threads, embeddingThreads(native))
    report.progress({ phase: 'warming up', percent: null, etaS: null })
    await embedder.ready()
    return { ...loaded, decoder: null }
  }
  const context = await createContext(native, model, config, contextTokens, threads, errors)
  await settleThreads(context, native, config, shape, threads, report)
  const decoder = new Decoder({
    native,
    model,
    context,
    sequences: config.parallel,
    contextTokens,
    batchSize,
    threads,
    isEnd: (token) => vocabulary.isEnd(token),
    maxWaiting,
  })
  return { ...loaded, decoder }
}

/** What the model may occupy: with a GPU of its own memory both count, with unified memory they are the same. */
function memoryFor(native: NativeModule, gpu: string | null): number {
  const ram = availableMemoryBytes()
  if (!gpu) return ram
  const vram = native.getGpuVramInfo()
  const free = Math.max(0, vram.total - vram.used)
  return vram.unifiedSize > 0 ? Math.max(ram, free) : ram + free
}

async function readWeights(
  native: NativeModule,
  config: ServerConfig,
  shape: ModelShape,
  gpu: string | null,
  contextTokens: number,
  errors: string[],
  report: Report,
): Promise<NativeModel> {
  const started = performance.now()
  let reported = 0
  const model = new native.AddonModel(config.modelPath, {
    addonExports: native,
    gpuLayers: gpu ? gpuLayers(native, shape, contextTokens * config.parallel) : 0,
    useMmap: true,
    onLoadProgress: (fraction) => {
      const percent = Math.floor(fraction * 100)
      if (percent <= reported) return
      reported = percent
      const elapsed = (performance.now() - started) / 1000
      const etaS = fraction > 0.05 ? (elapsed / fraction) * (1 - fraction) : null
      report.progress({ phase: 'reading weights', percent, etaS })
    },
  })
  let loaded = false
  try {
    loaded = await model.init()
  } catch (cause) {
    errors.push(String(cause))
  }
  if (!loaded) throw await failure(errors)
  return model
}

/** llama.cpp says why on its log, the last lines being the most general; the first error is the reason. */
async function failure(errors: readonly string[]): Promise<HolonError> {
  // The log comes from another thread, a moment after the result.
  await new Promise((resolve) => setTimeout(resolve, 20))
  const why = errors.find((line) => /error|unknown|missing|invalid|fail/i.test(line)) ?? errors[0]
  const clean = why?.replace(/^\w+: /, '').replace(/^error loading model: /, '')
  const memory = errors.some((line) => /alloc|out of memory|insufficient/i.test(line))
  return new HolonError(
    memory ? 'model_too_big' : 'model_load_failed',
    `The engine could not load the model: ${clean ?? 'it gave no reason'}.`,
    memory ? {} : { hint: 'Pull the model again, or try another build of it.' },
  )
}

/** All layers when they fit beside the cache, else as many as do. */
function gpuLayers(native: NativeModule, shape: ModelShape, cells: number): number {
  const { total, used } = native.getGpuVramInfo()
  const free = (total - used) * 0.92
  const needed = shape.weightsBytes + shape.cacheBytes(cells, 1)
  if (needed <= free) return shape.layers + 1
  return Math.max(0, Math.floor((shape.layers * free) / needed))
}

async function createContext(
  native: NativeModule,
  model: NativeModel,
  config: ServerConfig,
  contextTokens: number,
  threads: Threads,
  errors: string[],
): Promise<NativeContext> {
  const context = new native.AddonContext(model, {
    contextSize: contextTokens * config.parallel,
    batchSize: Math.max(config.parallel, Math.min(batchSize, contextTokens * config.parallel)),
    sequences: config.parallel,
    flashAttention: 'auto',
    threads: threads.decode || 1,
  })
  let made = false
  try {
    made = await context.init()
  } catch (cause) {
    errors.push(String(cause))
  }
  if (!made) throw await failure(errors)
  return context
}

/** A GPU does the work: a few threads feed it. */
function gpuThreads(): Threads {
  const count = Math.min(4, availableParallelism())
  return { decode: count, prefill: count }
}

/** Embeddings are all prefill, which uses every core that does arithmetic well. */
function embeddingThreads(native: NativeModule): Threads {
  const count = Math.max(1, native.getMathCores())
  return { decode: count, prefill: count }
}

async function settleThreads(
  context: NativeContext,
  native: NativeModule,
  config: ServerConfig,
  shape: ModelShape,
  threads: Threads,
  report: Report,
): Promise<void> {
  report.progress({ phase: 'warming up', percent: null, etaS: null })
  if (threads.decode === 0) {
    const { header, architecture } = shape
    const modelShape = [
      architecture,
      shape.layers,
      ggufNumber(header, `${architecture}.embedding_length`),
      ggufNumber(header, 'general.file_type'),
      Math.round(shape.weightsBytes / 1e6),
    ].join('/')
    const cache = new ThreadCache(config.threadCache, modelShape)
    const known = cache.read()
    if (!known) {
      const candidates = threadCandidates(availableParallelism(), native.getMathCores())
      Object.assign(threads, await measureThreads(context, candidates, batchSize))
      cache.write(threads)
      report.log(`threads measured: ${threads.decode} for decode, ${threads.prefill} for prefill`)
      return
    }
    Object.assign(threads, known)
  }
  context.setThreads(threads.decode)
  await warmUp(context)
}

function readTemplate(shape: ModelShape, vocabulary: Vocabulary, model: NativeModel): ChatTemplate {
  const eos = model.tokenEos()
  return new ChatTemplate(ggufString(shape.header, 'tokenizer.chat_template'), {
    bos: vocabulary.bos >= 0 ? vocabulary.name(vocabulary.bos) : '',
    eos: eos >= 0 ? vocabulary.name(eos) : '',
  })
}

/** Makers of models may write the settings they found best into the file; llama-server follows them too. */
function readSampling(shape: ModelShape): Omit<Sampling, 'seed'> {
  const setting = (key: string, fallback: number): number =>
    ggufNumber(shape.header, `general.sampling.${key}`) ?? fallback
  return {
    ...defaultSampling,
    temperature: setting('temp', defaultSampling.temperature),
    topK: setting('top_k', defaultSampling.topK),
    topP: setting('top_p', defaultSampling.topP),
    minP: setting('min_p', defaultSampling.minP),
    repeatPenalty: setting('penalty_repeat', defaultSampling.repeatPenalty),
  }
}
