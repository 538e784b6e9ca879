/**
 * Which node and model read the beginning of a prompt before, so that a conversation goes on where its cache is. Kept are
 * hashes of whole beginnings, made with a key that lives as long as the process: nothing of a prompt can be read back,
 * nor recognised by somebody who knows it. A fixed table of 3 MB, however many conversations there are; no garbage.
 */

/** Sixteen blocks of each length, in characters: long prompts are told apart as finely as it matters. */
const lengths = [256, 512, 1024, 2048, 4096, 8192]
const blockEnds: number[] = []
for (const length of lengths) {
  for (let n = 0; n < 16; n++) blockEnds.push((blockEnds.at(-1) ?? 0) + length)
}
export const maxBlocks = blockEnds.length

/** Characters up to the end of a block. */
export const charsOfBlock = (block: number): number => blockEnds[block]!

/** Hashes the beginning of a prompt, block by block. The hash of a block covers everything before it. */
export class PrefixHasher {
  readonly blocks: number[] = []
  private a: number
  private b: number
  private chars = 0

  constructor(key: readonly [number, number]) {
    this.a = key[0]
    this.b = key[1]
  }

  get isFull(): boolean {
    return this.blocks.length === maxBlocks
  }

  /** The hash of everything fed so far. */
  get digest(): number {
    return settle(this.a, this.b)
  }

  feed(text: string): void {
    let { a, b, chars } = this
    let end = blockEnds[this.blocks.length] ?? -1
    for (let at = 0; at < text.length && end > 0; at++) {
      const code = text.charCodeAt(at)
      a = Math.imul(a ^ code, 0x9e3779b1)
      a ^= a >>> 15
      b = Math.imul((b + code) ^ (b >>> 13), 0x85ebca6b)
      if (++chars < end) continue
      this.blocks.push(settle(a, b))
      end = blockEnds[this.blocks.length] ?? -1
    }
    this.a = a
    this.b = b
    this.chars = chars
  }
}

/** 53 bits: as many as a number holds exactly. Never 0, which stands for an empty place. */
function settle(a: number, b: number): number {
  let x = Math.imul(a ^ (b >>> 16), 0xc2b2ae35)
  x ^= x >>> 13
  let y = Math.imul(b ^ (a >>> 16), 0x27d4eb2f)
  y ^= y >>> 15
  return (x >>> 0) * 0x200000 + (y >>> 11) || 1
}

const sets = 16_384
const ways = 8

export interface SeenAt {
  /** Place of the gauge, the count of its requests then, and what was noted. */
  gauge: number
  served: number
  value: number
}

export class PrefixMemory {
  private readonly keys = new Float64Array(sets * ways)
  private readonly gauges = new Int32Array(sets * ways)
  private readonly served = new Uint32Array(sets * ways)
  private readonly values = new Uint32Array(sets * ways)
  private readonly turns = new Uint8Array(sets)
  private readonly found: SeenAt = { gauge: 0, served: 0, value: 0 }

  /** Calls back with every place that noted this hash. The object is used again: read it at once. */
  look(hash: number, tell: (seen: SeenAt) => void): void {
    const first = placeOf(hash)
    for (let at = first; at < first + ways; at++) {
      if (this.keys[at] !== hash) continue
      this.found.gauge = this.gauges[at]!
      this.found.served = this.served[at]!
      this.found.value = this.values[at]!
      tell(this.found)
    }
  }

  note(hash: number, gauge: number, served: number, value: number): void {
    const first = placeOf(hash)
    let at = -1
    for (let way = first; way < first + ways && at < 0; way++) {
      const isOwn = this.keys[way] === hash && this.gauges[way] === gauge
      if (isOwn || this.keys[way] === 0) at = way
    }
    // Full: each place in turn, which is nearly the oldest and costs no search.
    if (at < 0) at = first + (this.turns[first / ways]!++ % ways)
    this.keys[at] = hash
    this.gauges[at] = gauge
    this.served[at] = served
    this.values[at] = value
  }
}

function placeOf(hash: number): number {
  return (Math.floor(hash / 0x200000) % sets) * ways
}
