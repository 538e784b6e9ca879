import { HolonError } from '../../../core/errors.ts'
import type { NativeContext, NativeModel, NativeModule, NativeSampler } from './binding.ts'
import { createSampler, defaultSampling, type Logprobs, readLogprobs } from './sampling.ts'
import { chooseSequence, emptySequences, type Sequence } from './sequences.ts'

/**
 * Continuous batching: every step decodes one token of each answer under way, fills the rest of the batch with
 * waiting prompts, and hands the new tokens out. Answers join and leave between any two steps, so a cancelled one
 * costs at most one more step. The context is never shifted: an answer that reaches its end stops with 'length'.
 *
 * The native side must not wait for JavaScript. A step queues its decode and its samplings at once (they run one after
 * another, for the process has one worker thread), and the tokens of the step before go out while it computes:
 * waiting for each in turn cost a twelfth of the speed of a 0.5B model.
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
  /** Chosen, on its way into the next batch, and not handed out yet. */
  unsent: { token: number; logprobs: Logprobs | null } | null
  settle: { resolve(outcome: Outcome): void; reject(error: unknown): void }
}

interface Waiting {
  job: Job
  settle: Running['settle']
}

/** What one answer puts into a batch. */
interface Part {
  run: Running
  tokens: number[]
}

const noLogits = new Uint32Array(0)

async function settled<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([promise])
  return result as PromiseSettledResult<T>
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
      // Requests that came together are read together: alone, the first would make the others wait a step.
      await new Promise((resolve) => setImmediate(resolve))
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
        unsent: null,
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
    const { context } = this.options
    const parts = this.planBatch()
    const logits = this.fillBatch(parts)
    const decoded = context.decodeBatch()
    // Each is looked at below; until then a failure must not count as unhandled.
    const sampled = logits.map(({ run, at }) => settled(context.sampleToken(at, run.job.sampler)))
    for (const run of [...this.running]) this.handOut(run)
    await decoded
    for (const { run, tokens } of parts) {
      for (const token of tokens) run.sequence.tokens.push(token)
      run.pending = run.pending.slice(tokens.length)
    }
    for (const [index, { run, at }] of logits.entries()) {
      const result = (await sampled[index]) as PromiseSettledResult<number>
      // Told to stop while its next token was computed: that token is nobody's.
      if (!this.running.includes(run)) continue
      await this.take(run, at, result)
      // While the next answer's token is chosen; the last one's goes out while the next batch computes.
      if (index < logits.length - 1) this.handOut(run)
    }
  }

  /** Fills the native batch; returns whose next token can be sampled after it, and from which place. */
  private fillBatch(parts: readonly Part[]): { run: Running; at: number }[] {
    const { context, threads, sequences } = this.options
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
        last ? Uint32Array.of(tokens.length - 1) : noLogits,
      )
      if (last) logits.push({ run, at: places[0] as number })
    }
    context.setThreads(size > sequences * 2 ? threads.prefill : threads.decode)
    return logits
  }

  /** Which tokens of which answers go into the next batch: single tokens first, then prompts in order of arrival. */
  private planBatch(): Part[] {
    const parts: Part[] = []
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

  /** Takes what was sampled for one answer: its end, or a token that goes into the next batch. */
  private async take(run: Running, at: number, result: PromiseSettledResult<number>): Promise<void> {
    const { job } = run
    if (run.firstLogitAt === 0) {
      run.firstLogitAt = this.now()
      job.onPrompt?.({ cached: run.cached, evaluated: job.prompt.length - run.cached })
    }
    if (job.signal.aborted) return
    // A grammar it could not follow, say.
    if (result.status === 'rejected') return this.fail(run, result.reason)
    const token = result.value
    run.generated++
    // -1: the grammar is complete and leaves nothing to say.
    if (token < 0 || this.options.isEnd(token)) return this.finish(run, 'stop')
    try {
      const logprobs = job.logprobs === null ? null : await this.logprobsAt(at, token, job.logprobs)
      run.unsent = { token, logprobs }
    } catch (cause) {
      return this.fail(run, cause)
    }
    run.pending = [token]
    const full = run.sequence.tokens.length >= this.options.contextTokens
    if (run.generated < job.maxTokens && !full) return
    this.handOut(run)
    if (this.running.includes(run)) this.finish(run, 'length')
  }

  /** Gives a chosen token to its receiver, who may end the answer with it. */
  private handOut(run: Running): void {
    const { unsent, job } = run
    run.unsent = null
    if (!unsent || job.signal.aborted) return
    try {
      if (job.onToken(unsent.token, unsent.logprobs) === 'stop') this.finish(run, 'stop')
    } catch (cause) {
      this.fail(run, cause)
    }
  }

  private logprobsAt(at: number, token: number, top: number): Promise<Logprobs> {
    const { context, native, model } = this.options
    this.plain ??= createSampler(
      native,
      model,
      { ...defaultSampling, temperature: 0, seed: 0 },
      { maxTokens: 1, grammar: null },
    )
    return readLogprobs(context, at, this.plain, token, top)
  }

  /** Ends one answer that failed; the others go on. */
  private fail(run: Running, cause: unknown): void {
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
