/** What the scheduler knows of one model on one node. What a contest reads is in hot-numbers.ts; the rest is here. Pure. */
import type { Placement } from '../catalogue/edition.ts'
import { type Hot, type HotNumbers, hot } from './hot-numbers.ts'
import { Measured } from './measured.ts'
import type { SpeedEstimate } from './speed-estimate.ts'
import type { Usual } from './usual.ts'

/** How a figure was got, as in plans; `modelled` also stands for a guess from the size of the file. */
export const bases = ['modelled', 'calibrated', 'measured'] as const
export type Basis = (typeof bases)[number]

/** How much the latest gap between two requests counts. */
const gapWeight = 0.3

/** What all models of a node share. */
export class NodeGauge {
  readonly at: number
  readonly gauges: Gauge[] = []
  /** Bytes per second of a load, measured; null before the first. */
  loadBytesPerS: number | null = null
  /** The node changed since its gauges were made. */
  isStale = false
  private readonly numbers: HotNumbers

  constructor(numbers: HotNumbers) {
    this.numbers = numbers
    this.at = numbers.nodes.take()
  }

  /** Requests of this hub at the node, of all models. */
  get inFlight(): number {
    return this.numbers.nodes.values[this.at]!
  }

  count(more: 1 | -1): void {
    this.numbers.nodes.values[this.at]! += more
  }

  forget(): void {
    this.numbers.nodes.giveBack(this.at)
  }
}

export class Gauge {
  /** Where its numbers are; also its name in the memory of prompts. */
  readonly at: number
  readonly node: NodeGauge
  readonly usual: Usual
  readonly numbers: HotNumbers
  placement: Placement

  decodeBasis: Basis = 'modelled'
  prefillBasis: Basis = 'modelled'
  loadBasis: Basis = 'modelled'
  estimate: SpeedEstimate | null = null
  decode = new Measured()
  prefill = new Measured()
  measuredLoadS: number | null = null

  /** The usual time between two requests sent here, seconds; 0 before the second. */
  gapS = 0
  private sentAtS = 0

  /** Requests ever sent here: the age of what its prompt cache holds is counted in these. */
  served = 0
  /** What it was sent before this is cached no more: the model was unloaded since. */
  cachedFrom = 0
  /** Share of the expected cache hits that came true. */
  cacheHit = 1
  /** Parameters the engine honours, once it has told. */
  parameters: ReadonlySet<string> | null = null

  constructor(placement: Placement, node: NodeGauge, usual: Usual, numbers: HotNumbers) {
    this.at = numbers.gauges.take()
    this.placement = placement
    this.node = node
    this.usual = usual
    this.numbers = numbers
    this.set('node', node.at)
    this.set('usual', usual.at)
    this.set('slots', 4)
    this.set('worth', worthOf(placement.edition.quality))
    node.gauges.push(this)
  }

  get(what: Hot): number {
    return this.numbers.gauges.values[this.at + hot[what]]!
  }

  set(what: Hot, value: number): void {
    this.numbers.gauges.values[this.at + hot[what]] = value
  }

  /** One request more goes here. */
  sent(nowS: number): void {
    if (this.served++ > 0) {
      const gapS = nowS - this.sentAtS
      this.gapS = this.served === 2 ? gapS : this.gapS + (gapS - this.gapS) * gapWeight
    }
    this.sentAtS = nowS
  }

  forget(): void {
    this.numbers.gauges.giveBack(this.at)
    this.node.gauges.splice(this.node.gauges.indexOf(this), 1)
  }
}

/** How much a variant of so many bits is worth in time: one bit more may take a fifth longer. */
function worthOf(quality: number): number {
  const bits = quality < 0 ? 3 : Math.floor(quality / 100)
  // Above 8 bits nobody can tell the answers apart, but of two equals the finer is taken.
  return 1.2 ** Math.min(bits, 8) * (1 + Math.max(0, quality) * 1e-6)
}
