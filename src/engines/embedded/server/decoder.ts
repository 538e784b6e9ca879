import { HolonError } from '../../../core/errors.ts'
import type { NativeContext, NativeModel, NativeModule, NativeSampler } from './binding.ts'
import { createSampler, defaultSampling, type Logprobs, readLogprobs } from './sampling.ts'
import { chooseSequence, emptySequences, type Sequence } from './sequences.ts'

/**
 * Continuous batching: every step decodes one token of each answer under way, fills the rest of the batch with
 * waiting prompts, and hands the new tokens out. Answers join and leave between any two steps, so a cancelled one
 * costs at most one more step. The context is never shifted: an answer that reaches its end stops with 'length'.
 */
export interface Job {
  prompt: readonly number[]
  maxTokens: number
  sampler: NativeSampler
  /** Top alternatives to report with each token; null for no logprobs at all. */
  logprobs: number | null
  /** Called once per token, the ending token excluded. 'stop' ends the answer after this token. */
  onToken(token: number, logprobs: Logprobs | null): 'go' | 'stop'
  /** Called when the prompt has been read, before the first token. */
  onPrompt?(stats: { cached: number; evaluated: number }): void
  signal: AbortSignal
}

export interface Outcome {
  finish: 'stop' | 'length'
  cachedTokens: number
  promptTokens: number
  /** Tokens sampled, the ending one included: that is what took time. */
  predictedTokens: number
  promptMs: number
  predictedMs: number
}

export interface DecoderOptions {
  native: NativeModule
  model: NativeModel
  context: NativeContext
  sequences: number
  contextTokens: number
  batchSize: number
  threads: { decode: number; prefill: number }
  isEnd(token: number): boolean
  /** Answers that may wait for a free sequence. */
  maxWaiting: number
  now?: () => number
}

interface Running {
  job: Job
  sequence: Sequence
  /** Tokens still to be read before the next can be sampled. */
  pending: number[]
  started: number
  firstLogitAt: number
  cached: number
  generated: number
  settle: { resolve(outcome: Outcome): void; reject(error: unknown): void }
}

interface Waiting {
  job: Job
  settle: Running['settle']
}

/** While others are answering, a long prompt is read in pieces this small, so that their tokens keep coming. */
const politePrefill = 128

export class Decoder {
  private readonly options: DecoderOptions
  private readonly sequences: Sequence[]
  private readonly waiting: Waiting[] = []
  private running: Running[] = []
  private looping = false
  private plain: NativeSampler | null = null
  private readonly now: () => number

  constructor(options: DecoderOptions) {
    this.options = options
    this.sequences = emptySequences(options.sequences)
    this.now = options.now ?? (() => performance.now())
  }

  get busy(): { running: number; waiting: number } {
    return { running: this.running.length, waiting: this.waiting.length }
  }

  /**
   * Answers one prompt. The sampler is disposed of when the answer ends, however it does.
   * @throws HolonError context_length_exceeded, overloaded, engine_failed; the abort reason when cancelled
   */
  generate(job: Job): Promise<Outcome> {
    const done = new Promise<Outcome>((resolve, reject) => {
      job.signal.throwIfAborted()
      if (job.prompt.length >= this.options.contextTokens) throw this.tooLong(job.prompt.length)
      if (job.prompt.length === 0) {
        throw new HolonError('invalid_parameter', 'The prompt is empty.', {
          param: 'prompt',
          source: 'engine',
        })
      }
      const { running, waiting } = this.busy
      if (running + waiting >= this.options.sequences + this.options.maxWaiting) {
        throw new HolonError('overloaded', `${waiting} requests are already waiting for this model.`, {
          source: 'engine',
          retryAfterS: 1,
        })
      }
      this.waiting.push({ job, settle: { resolve, reject } })
      // Cancelled while waiting: leave the queue at once, not when a sequence falls free.
      job.signal.addEventListener('abort', () => this.dropWaiting(job), { once: true })
      if (!this.looping) void this.loop()
    })
    return done.finally(() => job.sampler.dispose())
  }

  private tooLong(tokens: number): HolonError {
    const room = this.options.contextTokens
    return new HolonError(
      'context_length_exceeded',
      `The prompt has ${tokens} tokens, and the model's context here is ${room} tokens, of which at least one must be left for the answer.`,
      { param: 'messages', source: 'engine' },
    )
  }

  private dropWaiting(job: Job): void {
    const at = this.waiting.findIndex((entry) => entry.job === job)
    const [entry] = at >= 0 ? this.waiting.splice(at, 1) : []
    entry?.settle.reject(job.signal.reason)
  }

  private async loop(): Promise<void> {
    this.looping = true
    try {
      for (;;) {
        this.dropCancelled()
        this.admit()
        if (this.running.length === 0) break
        try {
          await this.step()
        } catch (cause) {
          this.failAll(cause)
        }
      }
    } finally {
      this.looping = false
    }
  }

  private dropCancelled(): void {
    for (const run of this.running) {
      if (run.job.signal.aborted) {
        this.leave(run)
        run.settle.reject(run.job.signal.reason)
      }
    }
  }

  private admit(): void {
    while (this.waiting.length > 0 && this.running.length < this.options.sequences) {
      const entry = this.waiting.shift() as Waiting
      const { job } = entry
      const { sequence, keep } = chooseSequence(this.sequences, job.prompt)
      const cached = this.forget(sequence, keep)
      sequence.busy = true
      this.running.push({
        job,
        sequence,
        pending: job.prompt.slice(cached),
        started: 0,
        firstLogitAt: 0,
        cached,
        generated: 0,
        settle: entry.settle,
      })
    }
  }

  /** Makes a sequence hold just its first `keep` tokens; returns how many it could keep. */
  private forget(sequence: Sequence, keep: number): number {
    if (sequence.tokens.length === keep) return keep
    const { context } = this.options
    if (keep > 0 && context.removeTokenCellsFromSequence(sequence.id, keep, -1)) {
      sequence.tokens.length = keep
      return keep
    }
    context.disposeSequence(sequence.id)
    sequence.tokens = []
    return 0
  }

  private leave(run: Running): void {
    this.running = this.running.filter((other) => other !== run)
    run.sequence.busy = false
    run.sequence.usedAt = this.now()
  }

  private failAll(cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause)
    for (const run of [...this.running]) {
      // What of the batch reached the cache is unknown: hold nothing.
      this.options.context.disposeSequence(run.sequence.id)
      run.sequence.tokens = []
      this.leave(run)
      run.settle.reject(
        new HolonError('engine_failed', `The engine could not go on: ${why}.`, { source: 'engine', cause }),
      )
    }
  }

  private async step(): Promise<void> {
    const { context, threads } = this.options
    const parts = this.planBatch()
    const size = parts.reduce((sum, part) => sum + part.tokens.length, 0)
    context.initBatch(size)
    const logits: { run: Running; at: number }[] = []
    for (const { run, tokens } of parts) {
      if (run.started === 0) run.started = this.now()
      const last = tokens.length === run.pending.length
      const places = context.addToBatch(
        run.sequence.id,
        run.sequence.tokens.length,
        Uint32Array.from(tokens),
        last ? Uint32Array.of(tokens.length - 1) : new Uint32Array(0),
      )
      if (last) logits.push({ run, at: places[0] as number })
    }
    context.setThreads(size > this.options.sequences * 2 ? threads.prefill : threads.decode)
    await context.decodeBatch()
    for (const { run, tokens } of parts) {
      for (const token of tokens) run.sequence.tokens.push(token)
      run.pending = run.pending.slice(tokens.length)
    }
    await Promise.all(logits.map(({ run, at }) => this.sample(run, at)))
  }

  /** Which tokens of which answers go into the next batch: single tokens first, then prompts in order of arrival. */
  private planBatch(): { run: Running; tokens: number[] }[] {
    const parts: { run: Running; tokens: number[] }[] = []
    const answering = this.running.filter((run) => run.generated > 0)
    for (const run of answering) parts.push({ run, tokens: run.pending })
    const limit =
      answering.length > 0 ? Math.min(politePrefill, this.options.batchSize) : this.options.batchSize
    let room = Math.max(0, limit - parts.length)
    for (const run of this.running) {
      if (run.generated > 0 || room === 0) continue
      const tokens = run.pending.slice(0, room)
      room -= tokens.length
      parts.push({ run, tokens })
    }
    // llama.cpp computes sequences together only in ascending order; as 1, 2, 3, 0 they cost twice as much.
    return parts.sort((a, b) => a.run.sequence.id - b.run.sequence.id)
  }

  private async sample(run: Running, at: number): Promise<void> {
    const { context, native, model } = this.options
    const { job } = run
    if (run.firstLogitAt === 0) {
      run.firstLogitAt = this.now()
      job.onPrompt?.({ cached: run.cached, evaluated: job.prompt.length - run.cached })
    }
    if (job.signal.aborted) return
    try {
      const token = await context.sampleToken(at, job.sampler)
      run.generated++
      // -1: the grammar is complete and leaves nothing to say.
      if (token < 0 || this.options.isEnd(token)) return this.finish(run, 'stop')
      let logprobs: Logprobs | null = null
      if (job.logprobs !== null) {
        this.plain ??= createSampler(
          native,
          model,
          { ...defaultSampling, temperature: 0, seed: 0 },
          { maxTokens: 1, grammar: null },
        )
        logprobs = await readLogprobs(context, at, this.plain, token, job.logprobs)
      }
      const wish = job.signal.aborted ? 'go' : job.onToken(token, logprobs)
      if (wish === 'stop') return this.finish(run, 'stop')
      const full = run.sequence.tokens.length >= this.options.contextTokens
      if (run.generated >= job.maxTokens || full) return this.finish(run, 'length')
      run.pending = [token]
    } catch (cause) {
      // Only this answer failed (a grammar it could not follow, a callback that threw): the others go on.
      this.leave(run)
      run.settle.reject(
        cause instanceof HolonError
          ? cause
          : new HolonError('engine_failed', `The next token could not be chosen: ${String(cause)}.`, {
              source: 'engine',
              cause,
            }),
      )
    }
  }

  private finish(run: Running, finish: Outcome['finish']): void {
    this.leave(run)
    run.settle.resolve({
      finish,
      cachedTokens: run.cached,
      promptTokens: run.job.prompt.length,
      predictedTokens: run.generated,
      promptMs: run.firstLogitAt - run.started,
      predictedMs: this.now() - run.firstLogitAt,
    })
  }
}
