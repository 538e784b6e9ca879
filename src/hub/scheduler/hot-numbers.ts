/**
 * The numbers that every candidate of every request is compared by, side by side in one array: as fields of objects each
 * would be a box of its own somewhere in memory, and comparing ten thousand candidates took three times as long.
 */
export const hot = {
  /** Seconds to read n tokens after `start` cached ones: prefill0 · n + prefill1 · n · (start + n / 2). */
  prefill0: 0,
  prefill1: 1,
  /** Seconds per token with `depth` tokens before it: decode0 + decode1 · depth. */
  decode0: 2,
  decode1: 3,
  /** Each further answer at once makes a token take so much longer, as a share. */
  crowding: 4,
  /** 0 in memory, 1 on its way there, 2 not. */
  cold: 5,
  /** Seconds of a load. */
  loadS: 6,
  /** When the load that is under way will probably be over; 0 when none is. */
  loadEndS: 7,
  /** What a load drives out of memory costs later, as of `evictAtS`. Seconds. */
  evictS: 8,
  evictAtS: 9,
  /** Requests of this hub, waiting and at the engine, and their predicted seconds at the engine together. */
  inFlight: 10,
  workS: 11,
  /** Answers the engine gives at once. */
  slots: 12,
  /** How much its quality is worth in time. */
  worth: 13,
  /** The class, see contest.ts, but for the length of the prompt. */
  rank: 14,
  /** The longest prompt, tokens. */
  contextTokens: 15,
  /** The numbers are made anew then. Seconds. */
  dueS: 16,
  /** Where the node's and the model's common numbers are. */
  node: 17,
  usual: 18,
  /** For one choice: which one, and the tokens of its prompt that are probably cached here. */
  mark: 19,
  markTokens: 20,
} as const
export type Hot = keyof typeof hot
const width = Object.keys(hot).length

/** One array that grows; places in it are handed out and taken back. */
export class Numbers {
  values: Float64Array
  private readonly width: number
  private readonly free: number[] = []
  private used = 0

  constructor(width: number, places = 64) {
    this.width = width
    this.values = new Float64Array(places * width)
  }

  /** @returns where the place begins; its numbers are 0 */
  take(): number {
    const place = this.free.pop() ?? this.used++
    const at = place * this.width
    if (at + this.width > this.values.length) {
      const more = new Float64Array(this.values.length * 2)
      more.set(this.values)
      this.values = more
    }
    this.values.fill(0, at, at + this.width)
    return at
  }

  giveBack(at: number): void {
    this.free.push(at / this.width)
  }
}

/** Tokens per byte of a request's body, tokens of an answer. */
export const usualWidth = 2

/** All that the contest reads. */
export class HotNumbers {
  readonly gauges = new Numbers(width)
  /** Requests of this hub at a node, of all models. */
  readonly nodes = new Numbers(1)
  readonly usual = new Numbers(usualWidth)
}
