/**
 * The life of one part, the same for every engine: it ends once, by being told to or by dying of something; what it had
 * opened is closed in the reverse order of opening; and whoever waits in it is let go.
 */
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { PartSpec } from '../../protocol/pool.ts'
import { deferred } from './deferred.ts'

export class PartLife {
  /** Resolves with one sentence when the part ends without being told to. */
  readonly died: Promise<string>
  /** Aborted as soon as the part ends, with the reason. */
  readonly over: AbortSignal
  private readonly spec: Pick<PartSpec, 'pool' | 'launch' | 'rank'>
  private readonly log: Log
  private readonly death = deferred<string>()
  private readonly ended = new AbortController()
  private readonly closers: (() => Promise<unknown>)[] = []
  private ending: Promise<void> | null = null
  /** Why it died or did not start; undefined while it has not, and when it was told to end. */
  cause: string | undefined

  constructor(spec: Pick<PartSpec, 'pool' | 'launch' | 'rank'>, log: Log) {
    this.spec = spec
    this.log = log
    this.died = this.death.promise
    this.over = this.ended.signal
  }

  /** Closes this at the end too; at once when the part has ended while it was being opened. */
  async closes(close: () => Promise<unknown>): Promise<void> {
    this.closers.push(close)
    if (!this.over.aborted) return
    await this.closeAll()
    throw this.over.reason
  }

  die(reason: string): void {
    if (this.over.aborted) return
    const { pool, launch, rank } = this.spec
    this.cause = reason
    this.log.warn({ pool, launch, rank }, reason)
    this.ended.abort(new HolonError('model_load_failed', reason, { source: 'engine' }))
    this.death.resolve(reason)
    void this.stop()
  }

  stop(): Promise<void> {
    if (!this.over.aborted) {
      this.ended.abort(new HolonError('model_load_failed', 'The part was stopped while it was starting.'))
    }
    this.ending ??= this.closeAll()
    return this.ending
  }

  /**
   * Runs the start of a part. When it fails, or the part dies meanwhile, everything is closed before this rejects.
   * @throws the signal's reason, or a HolonError
   */
  async starting<T>(signal: AbortSignal, work: (either: AbortSignal) => Promise<T>): Promise<T> {
    const either = AbortSignal.any([signal, this.over])
    try {
      either.throwIfAborted()
      return await work(either)
    } catch (thrown) {
      const reason = this.over.aborted ? this.over.reason : thrown
      // Without the cause its peers would blame this member for what another did.
      if (!this.over.aborted && !signal.aborted) this.cause = asHolonError(thrown).message
      await this.stop()
      signal.throwIfAborted()
      throw asHolonError(reason)
    }
  }

  private async closeAll(): Promise<void> {
    for (let close = this.closers.pop(); close !== undefined; close = this.closers.pop()) {
      await close().catch((thrown) => {
        this.log.warn({ pool: this.spec.pool, rank: this.spec.rank }, asHolonError(thrown).message)
      })
    }
  }
}

/**
 * Waits for something, no longer than it may take.
 * @throws HolonError model_load_failed saying `late`, or the signal's reason
 */
export async function within<T>(
  work: Promise<T>,
  { ms, signal, late }: { ms: number; signal: AbortSignal; late: string },
): Promise<T> {
  signal.throwIfAborted()
  let end: () => void = () => undefined
  const given = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(new HolonError('model_load_failed', late, { source: 'engine' })),
      ms,
    )
    const aborted = (): void => reject(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
    }
  })
  try {
    return await Promise.race([work, given])
  } finally {
    end()
  }
}

const tellEveryMs = 10_000

/**
 * Says a phase at once and again and again until it is over: engines say nothing for the minutes that they load in, and
 * whoever waits takes silence for a hang. Call what it returns at the end.
 */
export function keepTelling(
  phase: string,
  onProgress: ((progress: LoadProgress) => void) | undefined,
): () => void {
  const tell = (): void => onProgress?.({ phase, percent: null, etaS: null })
  tell()
  const timer = setInterval(tell, tellEveryMs)
  return () => clearInterval(timer)
}
