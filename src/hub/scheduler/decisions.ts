/**
 * The latest choices, as numbers, so that each can be unfolded afterwards. A ring of fixed size (10,000 choices, 14 MB at
 * most) that is written over; a request costs some stores here and no text. Words are made by explain-choice.ts when
 * somebody asks.
 */
import type { Lane } from '../../protocol/lane.ts'
import { modelStates } from '../../protocol/model.ts'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import { type Entrants, mostRemembered, type Rules, scoreOf, type Verdict } from './contest.ts'
import { bases, type Gauge } from './gauge.ts'
import { newTerms, predictFinish } from './predict-finish.ts'
import type { HardReason } from './tiers.ts'

/** Numbers kept of one candidate, in this order. */
export const figures = [
  'waitS', 'loadS', 'evictS', 'prefillS', 'decodeS', 'finishS', 'firstTokenS', 'decodeTokS', 'promptTokens',
  'cachedTokens', 'answerTokens', 'inFlight', 'slots', 'score', 'key', 'state', 'background', 'trusted',
  'prefillBasis', 'decodeBasis', 'loadBasis',
] as const // biome-ignore format: a list of names
const width = figures.length

export interface Asked {
  id: string
  /** Milliseconds since the epoch. */
  timeMs: number
  /** The name the caller gave. */
  model: string
  lane: Lane
  /** What chose the model, when the caller left it to the hub. */
  tier: 'auto:fast' | 'auto:best' | null
  hard: HardReason
}

/**
 * One choice. The object is used again when its turn in the ring comes, and what is told to it is copied in: ten thousand
 * requests' own objects kept alive here outlived every young collection, and collecting took a sixth of the hub's time.
 */
export class Decision {
  serial = 0
  readonly asked: Asked = { id: '', timeMs: 0, model: '', lane: 'production', tier: null, hard: 'none' }
  keepsLevel = false
  considered = 0
  /** The winner first, then the nearest others. */
  readonly gauges: Gauge[] = []
  /** Set when the request was given to another node after this one. */
  movedOn = false
  private readonly record: AnswerRecord = { ...noAnswer }
  private isOver = false

  /** What came of it; null while it is under way, or when it was given to another node. */
  get outcome(): AnswerRecord | null {
    return this.isOver ? this.record : null
  }

  begin({ id, timeMs, model, lane, tier, hard }: Asked): void {
    const { asked } = this
    asked.id = id
    asked.timeMs = timeMs
    asked.model = model
    asked.lane = lane
    asked.tier = tier
    asked.hard = hard
    this.movedOn = false
    this.isOver = false
  }

  over(record: AnswerRecord | null): void {
    this.movedOn = record === null
    this.isOver = record !== null
    if (record !== null) Object.assign(this.record, record)
  }
}

const noAnswer: AnswerRecord = {
  requestId: '',
  time: 0,
  endpoint: 'chat',
  model: '',
  node: '',
  engine: '',
  status: 0,
  error: null,
  stream: false,
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  exactTokens: true,
  queueMs: 0,
  ttftMs: null,
  durationMs: 0,
  prefillTokS: null,
  decodeTokS: null,
  retries: 0,
  keyId: null,
}

const scratch = newTerms()

export class Decisions {
  private readonly ring: (Decision | undefined)[]
  private readonly numbers: Float64Array
  private next = 0

  constructor(size = 10_000) {
    this.ring = new Array(size)
    this.numbers = new Float64Array(size * mostRemembered * width)
  }

  note(asked: Asked, entrants: Entrants, rules: Rules, verdict: Verdict): Decision {
    const at = this.next++ % this.ring.length
    let decision = this.ring[at]
    if (decision === undefined) {
      decision = new Decision()
      this.ring[at] = decision
    }
    decision.serial = this.next
    decision.begin(asked)
    decision.keepsLevel = verdict.keepsLevel
    decision.considered = verdict.considered
    let written = 0
    this.write(at, decision, written++, entrants, rules, verdict.winner, Number.NaN)
    for (let place = 0; place < verdict.remembered && written < mostRemembered; place++) {
      const index = verdict.nearest[place]!
      if (index !== verdict.winner)
        this.write(at, decision, written++, entrants, rules, index, verdict.keys[place]!)
    }
    // Emptied first, the list would be a new one for every request.
    if (decision.gauges.length > written) decision.gauges.length = written
    return decision
  }

  /** All choices made for a request, in order; none when they were written over. Looks at all: for people only. */
  find(requestId: string): Decision[] {
    return this.ring
      .filter((decision): decision is Decision => decision?.asked.id === requestId)
      .sort((a, b) => a.serial - b.serial)
  }

  /** The figures of one candidate of a decision. */
  figuresOf(decision: Decision, candidate: number): Record<(typeof figures)[number], number> {
    const first = (((decision.serial - 1) % this.ring.length) * mostRemembered + candidate) * width
    const read: Partial<Record<(typeof figures)[number], number>> = {}
    figures.forEach((name, offset) => {
      read[name] = this.numbers[first + offset]!
    })
    return read as Record<(typeof figures)[number], number>
  }

  private write(
    at: number,
    decision: Decision,
    candidate: number,
    { gauges, background }: Entrants,
    { numbers: all, size, mark, nowS }: Rules,
    index: number,
    key: number,
  ): void {
    const gauge = gauges[index]!
    const { numbers } = this
    let to = (at * mostRemembered + candidate) * width
    decision.gauges[candidate] = gauge
    predictFinish(all, gauge.at, size, mark, nowS, scratch)
    numbers[to++] = scratch.waitS
    numbers[to++] = scratch.loadS
    numbers[to++] = scratch.evictS
    numbers[to++] = scratch.prefillS
    numbers[to++] = scratch.decodeS
    numbers[to++] = scratch.finishS
    numbers[to++] = scratch.firstTokenS
    numbers[to++] = scratch.decodeTokS
    numbers[to++] = scratch.promptTokens
    numbers[to++] = scratch.cachedTokens
    numbers[to++] = scratch.answerTokens
    numbers[to++] = gauge.get('inFlight')
    numbers[to++] = gauge.get('slots')
    numbers[to++] = scoreOf(gauge.get('worth'), scratch, gauge.get('cold') !== 0)
    numbers[to++] = key
    numbers[to++] = modelStates.indexOf(gauge.placement.model.state)
    numbers[to++] = background[index]!
    numbers[to++] = gauge.get('rank') < 8 ? 1 : 0
    numbers[to++] = bases.indexOf(gauge.prefillBasis)
    numbers[to++] = bases.indexOf(gauge.decodeBasis)
    numbers[to] = bases.indexOf(gauge.loadBasis)
  }
}
