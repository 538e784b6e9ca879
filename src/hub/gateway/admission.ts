/**
 * Who may go to an engine now. One line per engine and model: as many in flight as the engine answers at once, the
 * rest wait their turn, fair between callers, and beyond a bound new ones are told to come back. No I/O, no timers.
 */
import { HolonError } from '../../core/errors.ts'
import type { Lane } from '../../protocol/lane.ts'
import { type Flow, Line, type Place } from './line.ts'

/** The name of the line of one model on one node. */
export function lineKey(node: string, model: string): string {
  return `${node}\n${model}`
}

/** One caller's part of a line, for those who look at it. */
export interface QueuePart {
  caller: string
  lane: Lane
  inFlight: number
  waiting: number
}

export interface QueueView {
  node: string
  model: string
  /** Answers the engine gives at once. */
  parallel: number
  inFlight: number
  waiting: number
  /** Mean seconds of an answer; null before the first. */
  serviceS: number | null
  /** Seconds until one that came now would have its turn; null when not known. */
  etaS: number | null
  parts: QueuePart[]
}

/** The caller of a request without keys, and of tests. */
const anybody = 'owner'

export class Admission {
  private readonly lines = new Map<string, Line>()
  private readonly maxWaiting: number
  private readonly now: () => number

  /**
   * @param maxWaiting what one caller alone may have waiting in a line; all together at most twice as many
   * @param now seconds, monotonic
   */
  constructor(options: { maxWaiting: number; now: () => number }) {
    this.maxWaiting = options.maxWaiting
    this.now = options.now
  }

  /**
   * A place in the line. Call `admit` before sending, and `leave` exactly once in the end. A caller may have as many
   * waiting as places are still free (Choudhury and Hahne's dynamic threshold): the more callers wait, the fewer for
   * each, and one who has none waiting still finds a place.
   * @throws HolonError overloaded
   */
  enter(key: string, caller = anybody, lane: Lane = 'production'): Ticket {
    let line = this.lines.get(key)
    if (!line) {
      line = new Line()
      this.lines.set(key, line)
    }
    const waiting = line.tickets - line.inFlight
    const flow = line.flowOf(caller, lane)
    const mine = flow.tickets - flow.inFlight
    if (mine >= this.maxWaiting * 2 - waiting) throw full(line, waiting, mine)
    line.join(flow)
    return new Ticket(this, line, flow)
  }

  /** Requests of this hub at a node for a model, in flight and waiting. */
  busy(node: string, model: string): number {
    return this.lines.get(lineKey(node, model))?.tickets ?? 0
  }

  totals(): { inFlight: number; waiting: number } {
    let inFlight = 0
    let tickets = 0
    for (const line of this.lines.values()) {
      inFlight += line.inFlight
      tickets += line.tickets
    }
    return { inFlight, waiting: tickets - inFlight }
  }

  /** Every line that has somebody in it. */
  view(): QueueView[] {
    return [...this.lines].flatMap(([key, line]) => {
      if (line.tickets === 0) return []
      const [node = '', model = ''] = key.split('\n')
      const { limit: parallel, inFlight, tickets, serviceS } = line
      const waiting = tickets - inFlight
      const parts = line.queues.flatMap(({ lane, flows }) =>
        [...flows.values()]
          .filter((flow) => flow.tickets > 0)
          .map(({ caller, tickets, inFlight }) => ({ caller, lane, inFlight, waiting: tickets - inFlight })),
      )
      return [{ node, model, parallel, inFlight, waiting, serviceS, etaS: etaS(line, line.queued), parts }]
    })
  }

  /** For Ticket only. */
  seconds(): number {
    return this.now()
  }
}

/** One request's place. Lines are kept for good: there are no more of them than models on nodes. */
export class Ticket implements Place {
  readonly flow: Flow
  // What follows is the line's to change.
  sequence = 0
  before: Place | null = null
  after: Place | null = null
  queued = false
  estimateS = 0
  private readonly admission: Admission
  private readonly line: Line
  private admittedAt: number | null = null
  private left = false
  private wake: (() => void) | null = null

  constructor(admission: Admission, line: Line, flow: Flow) {
    this.admission = admission
    this.line = line
    this.flow = flow
  }

  /**
   * Null when the request may go at once, else a promise that resolves when it may. Asking again keeps the place.
   * @param parallel answers the engine gives at once
   */
  admit(parallel: number): Promise<void> | null {
    const { line } = this
    line.limit = Math.max(1, parallel)
    if (this.admittedAt !== null || this.left || line.tryGo(this)) return null
    line.push(this)
    const admitted = new Promise<void>((resolve) => {
      this.wake = resolve
    })
    line.pump()
    return admitted
  }

  /** How many will probably go before this one: 0 when it is next or already in flight. */
  position(): number {
    return this.line.position(this)
  }

  /** Seconds until its turn, as far as can be known; null when no answer has ended yet. */
  etaS(): number | null {
    return etaS(this.line, this.position())
  }

  /** Gives the place back, wherever it is. A waiting `admit` resolves too: its caller must look whether it left. */
  leave(): void {
    if (this.left) return
    this.left = true
    const tookS = this.admittedAt === null ? null : this.admission.seconds() - this.admittedAt
    this.wake?.()
    this.line.leave(this, tookS)
  }

  /** For the line only: it is this one's turn. */
  go(): void {
    this.admittedAt = this.admission.seconds()
    this.wake?.()
    this.wake = null
  }
}

/** Seconds until `before` others have gone and an engine is free again. */
function etaS(line: Line, before: number): number | null {
  if (line.inFlight < line.limit && before === 0) return 0
  return line.serviceS === null ? null : ((before + 1) * line.serviceS) / line.limit
}

function full(line: Line, waiting: number, mine: number): HolonError {
  const whose = mine > 0 && mine < waiting ? `, ${mine} of them of this key` : ''
  // Until the queue has probably moved on, between 1 and 60 s.
  const estimate = ((line.serviceS ?? 1) * waiting) / line.limit
  return new HolonError('overloaded', `${waiting} requests are already waiting for this model${whose}.`, {
    retryAfterS: Math.min(60, Math.max(1, Math.ceil(estimate))),
    headers: { 'x-holon-queue-waiting': waiting, 'x-holon-queue-eta': Math.ceil(estimate) },
  })
}
