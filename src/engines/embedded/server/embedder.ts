import { HolonError } from '../../../core/errors.ts'
import type { NativeContext, NativeModel, NativeModule } from './binding.ts'
import type { Threads } from './threads.ts'

/**
 * Texts as vectors of length one. A context of its own, made on first use: a chat model can be asked too (its last
 * token's state, as models without a pooling rule of their own give), but pays for it only then.
 */
export class Embedder {
  private readonly options: {
    native: NativeModule
    model: NativeModel
    contextTokens: number
    threads: Threads
    /** Pooling over the whole input (a mean, its first token) needs it in one batch; else it is read in pieces. */
    wholeInput: boolean
    failure(): Promise<HolonError>
  }
  private context: Promise<NativeContext> | null = null
  private last: Promise<unknown> = Promise.resolve()

  constructor(options: Embedder['options']) {
    this.options = options
  }

  get dimensions(): number {
    return this.options.model.getEmbeddingVectorSize()
  }

  /** Small for decoders: their output layer is computed for the whole batch, 600 kB per token with a big vocabulary. */
  private get batchSize(): number {
    const { wholeInput, contextTokens } = this.options
    return wholeInput ? contextTokens : Math.min(128, contextTokens)
  }

  async ready(): Promise<void> {
    await this.embed([0], new AbortController().signal)
  }

  /** @throws HolonError context_length_exceeded, model_load_failed; the abort reason */
  embed(tokens: readonly number[], signal: AbortSignal): Promise<Float64Array> {
    // One text at a time: the binding hands out the embedding of sequence 0 only.
    const turn = this.last.then(() => this.embedNow(tokens, signal))
    this.last = turn.catch(() => undefined)
    return turn
  }

  private async embedNow(tokens: readonly number[], signal: AbortSignal): Promise<Float64Array> {
    signal.throwIfAborted()
    const { contextTokens, threads } = this.options
    if (tokens.length > contextTokens) {
      throw new HolonError(
        'context_length_exceeded',
        `One input has ${tokens.length} tokens, and the model's context here is ${contextTokens} tokens.`,
        { param: 'input', source: 'engine', hint: 'Split the input into shorter pieces.' },
      )
    }
    this.context ??= this.create()
    const context = await this.context
    context.setThreads(Math.max(1, threads.prefill))
    context.disposeSequence(0)
    const size = this.batchSize
    for (let at = 0; at < tokens.length; at += size) {
      signal.throwIfAborted()
      const part = Uint32Array.from(tokens.slice(at, at + size))
      context.initBatch(part.length)
      // llama.cpp computes every token's output here whatever is asked, and warns when not all are.
      context.addToBatch(
        0,
        at,
        part,
        part.map((_, index) => index),
      )
      await context.decodeBatch()
    }
    return normalised(context.getEmbedding(tokens.length))
  }

  private async create(): Promise<NativeContext> {
    const { native, model, contextTokens, threads } = this.options
    const context = new native.AddonContext(model, {
      contextSize: contextTokens,
      batchSize: this.batchSize,
      sequences: 1,
      flashAttention: 'auto',
      threads: Math.max(1, threads.prefill),
      embeddings: true,
    })
    const made = await context.init().catch(() => false)
    if (!made) {
      this.context = null
      throw await this.options.failure()
    }
    return context
  }
}

function normalised(vector: Float64Array): Float64Array {
  const length = Math.hypot(...chunkNorms(vector))
  return length > 0 ? vector.map((value) => value / length) : vector
}

/** Norms of pieces: spreading a long vector over arguments would overflow the stack. */
function chunkNorms(vector: Float64Array): number[] {
  const norms: number[] = []
  for (let at = 0; at < vector.length; at += 1024) norms.push(Math.hypot(...vector.subarray(at, at + 1024)))
  return norms
}
