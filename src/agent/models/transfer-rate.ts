import type { Clock } from '../../core/clock.ts'

/** Speed of a transfer over the last seconds, so that the time left follows the line as it is now. */
export class TransferRate {
  private readonly clock: Clock
  private readonly windowMs: number
  private samples: { at: number; bytes: number }[] = []

  constructor(clock: Clock, windowMs = 5_000) {
    this.clock = clock
    this.windowMs = windowMs
  }

  /** Takes the bytes present now; a number smaller than before means that it started anew. */
  sample(bytes: number): void {
    const at = this.clock.now()
    const last = this.samples.at(-1)
    if (last && bytes < last.bytes) this.samples = []
    // Four samples a second are plenty; a fast line brings thousands of chunks.
    if (last && at - last.at < 250 && this.samples.length > 1) last.bytes = bytes
    else this.samples.push({ at, bytes })
    while (this.samples.length > 2 && at - this.samples[0]!.at > this.windowMs) this.samples.shift()
  }

  /** Bytes per second, or null before there is anything to go by. */
  get bytesPerSecond(): number | null {
    const first = this.samples[0]
    const last = this.samples.at(-1)
    if (!first || !last || last.at - first.at < 200) return null
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at)
  }
}
