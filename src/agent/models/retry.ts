import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'

/** A failure that may pass by itself: a cut, a stall, an overloaded server. */
export class TransientFault extends HolonError {
  constructor(message: string, details: { retryAfterS?: number; cause?: unknown } = {}) {
    super('download_failed', message, details)
  }
}

export interface RetryLimits {
  /** Failures in a row, none of them with progress between, after which it gives up. */
  maxFailures: number
  /** The first pause; doubles with every failure in a row, up to `maxBackoffMs`. */
  backoffMs: number
  maxBackoffMs: number
}

export const downloadRetries: RetryLimits = { maxFailures: 6, backoffMs: 1000, maxBackoffMs: 30_000 }

/**
 * Runs `attempt` until it succeeds, fails for good, or has failed in transit `maxFailures` times in a row.
 * `progressed` says whether the last attempt got further, which starts the count anew: a long download over a bad
 * line may be cut a hundred times and still end.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: {
    limits: RetryLimits
    clock: Clock
    signal: AbortSignal
    progressed?: () => boolean
    onRetry?: (fault: TransientFault, pauseMs: number) => void
  },
): Promise<T> {
  const { limits, clock, signal } = options
  let failures = 0
  for (;;) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (thrown) {
      signal.throwIfAborted()
      if (!(thrown instanceof TransientFault)) throw thrown
      failures = options.progressed?.() ? 1 : failures + 1
      if (failures >= limits.maxFailures) throw thrown
      const asked = (thrown.retryAfterS ?? 0) * 1000
      const pauseMs = Math.min(Math.max(limits.backoffMs * 2 ** (failures - 1), asked), limits.maxBackoffMs)
      options.onRetry?.(thrown, pauseMs)
      await pause(pauseMs, clock, signal)
    }
  }
}

/** Waits; rejects with the signal's reason when it is aborted. */
export function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
