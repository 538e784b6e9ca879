/**
 * What the scheduler knows of one model on one node, as plain numbers: ten thousand of these are compared for one request,
 * so everything that can be worked out before the request is. Pure.
 */
import type { NodeState } from '../../protocol/node.ts'
import type { Placement } from '../catalogue/edition.ts'
import { Measured } from './measured.ts'
import type { SpeedEstimate } from './speed-estimate.ts'
import type { Usual } from './usual.ts'

/** How a figure was got, as in plans; `modelled` also stands for a guess from the size of the file. */
export const bases = ['modelled', 'calibrated', 'measured'] as const
export type Basis = (typeof bases)[number]

/** What all models of a node share. */
export class NodeGauge {
  /** Requests of this hub at the node, of all models. */
  inFlight = 0
  /** Bytes per second of a load, measured; null before the first. */
  loadBytesPerS: number | null = null
}

export class Gauge {
  readonly number: number
  readonly node: NodeGauge
  readonly usual: Usual
  placement: Placement
  /** The picture of the node that the figures below were made from. */
  seen: NodeState | null = null
  /** False while the node is not trusted: it serves only when no other can. */
  trusted = true
  /** Answers the engine gives at once. */
  slots = 4
  /** Context of the running engine, tokens; 0 when it does not run or does not say. */
  contextTokens = 0
  /** Bits of quality that count: beyond 8 they hardly do. */
  worth = 1

  /** Seconds: prefill0 · n + prefill1 · n · (start + n / 2); decode0 + decode1 · depth per token. */
  prefill0 = 0
  prefill1 = 0
  decode0 = 0
  decode1 = 0
  /** Each further answer at once makes a token take so much longer, as a share. */
  crowding = 0.25
  decodeBasis: Basis = 'modelled'
  prefillBasis: Basis = 'modelled'
  estimate: SpeedEstimate | null = null
  readonly decode = new Measured()
  readonly prefill = new Measured()
  /** Figures above are made anew then, because evidence ages. */
  dueS = 0

  /** Seconds of a load from disk, and what it would drive out of memory costs later. */
  loadS = 0
  loadBasis: Basis = 'modelled'
  evictS = 0
  evictAtS = 0
  measuredLoadS: number | null = null
  /** When the load that is under way began; 0 when none is known. */
  loadingSinceS = 0

  /** Requests of this hub, waiting and at the engine, and their predicted seconds at the engine together. */
  inFlight = 0
  workS = 0

  /** Requests ever sent here: the age of what its prompt cache holds is counted in these. */
  served = 0
  /** What it was sent before this is cached no more: the model was unloaded since. */
  cachedFrom = 0
  /** Share of the expected cache hits that came true. */
  cacheHit = 1
  /** Parameters the engine honours, once it has told. */
  parameters: ReadonlySet<string> | null = null

  /** For one choice: which one, and the tokens of its prompt that are probably cached here. */
  mark = 0
  markTokens = 0

  constructor(number: number, placement: Placement, node: NodeGauge, usual: Usual) {
    this.number = number
    this.placement = placement
    this.node = node
    this.usual = usual
  }

  get id(): string {
    return this.placement.model.id
  }
}

/** How much a variant of so many bits is worth in time: one bit more may take a fifth longer. */
export function worthOf(quality: number): number {
  const bits = quality < 0 ? 3 : Math.floor(quality / 100)
  // Above 8 bits nobody can tell the answers apart, but of two equals the finer is taken.
  return 1.2 ** Math.min(bits, 8) * (1 + Math.max(0, quality) * 1e-6)
}
