/**
 * Who may go to an engine now. One lane per engine and model: as many in flight as the engine answers at once, the
 * rest wait in order of arrival, and beyond a bound new ones are told to come back. Pure: no I/O, no timers.
 */
import { HolonError } from '../../core/errors.ts'

interface Lane {
  /** Tickets taken and not yet left. */
  tickets: number
  inFlight: number
  limit: number
  queue: Set<Ticket>
  /** Mean seconds an answer takes, smoothed; null before the first. */
  serviceS: number | null
}

/** The name of the lane of one model on one node. */
export function laneKey(node: string, model: string): string {
  return `${node}\n${model}`
}

export class Admission {
  private readonly lanes = new Map<string, Lane>()
  private readonly maxWaiting: number
  private readonly now: () => number

  /** @param now seconds, monotonic */
  constructor(options: { maxWaiting: number; now: () => number }) {
    this.maxWaiting = options.maxWaiting
    this.now = options.now
  }

  /**
   * A place in the lane. Call `admit` before sending, and `leave` exactly once in the end.
   * @throws HolonError overloaded
   */
  enter(key: string): Ticket {
    let lane = this.lanes.get(key)
    if (!lane) {
      lane = { tickets: 0, inFlight: 0, limit: 1, queue: new Set(), serviceS: null }
      this.lanes.set(key, lane)
    }
    const waiting = lane.tickets - lane.inFlight
    if (waiting >= this.maxWaiting) {
      throw new HolonError('overloaded', `${waiting} requests are already waiting for this model.`, {
        retryAfterS: retryAfter(lane),
      })
    }
    lane.tickets++
    return new Ticket(this, lane)
  }

  /** Requests of this hub at a node for a model, in flight and waiting. */
  busy(node: string, model: string): number {
    return this.lanes.get(laneKey(node, model))?.tickets ?? 0
  }

  totals(): { inFlight: number; waiting: number } {
    let inFlight = 0
    let tickets = 0
    for (const lane of this.lanes.values()) {
      inFlight += lane.inFlight
      tickets += lane.tickets
    }
    return { inFlight, waiting: tickets - inFlight }
  }

  /** For Ticket only. */
  seconds(): number {
    return this.now()
  }
}

/** One request's place. Lanes are kept for good: there are no more of them than models on nodes. */
export class Ticket {
  private readonly admission: Admission
  private readonly lane: Lane
  private admittedAt: number | null = null
  private left = false
  private wake: (() => void) | null = null

  constructor(admission: Admission, lane: Lane) {
    this.admission = admission
    this.lane = lane
  }

  /**
   * Null when the request may go at once, else a promise that resolves when it may. Asking again keeps the place.
   * @param parallel answers the engine gives at once
   */
  admit(parallel: number): Promise<void> | null {
    this.lane.limit = Math.max(1, parallel)
    if (this.admittedAt !== null || this.left) return null
    if (this.lane.queue.size === 0 && this.lane.inFlight < this.lane.limit) {
      this.go()
      return null
    }
    this.lane.queue.add(this)
    const admitted = new Promise<void>((resolve) => {
      this.wake = resolve
    })
    pump(this.lane)
    return admitted
  }

  /** How many are before this one, 0 when it is next or already in flight. */
  position(): number {
    let before = 0
    for (const ticket of this.lane.queue) {
      if (ticket === this) return before
      before++
    }
    return 0
  }

  /** Gives the place back, wherever it is. A waiting `admit` resolves too: its caller must look whether it left. */
  leave(): void {
    if (this.left) return
    this.left = true
    const lane = this.lane
    lane.tickets--
    if (this.admittedAt !== null) {
      lane.inFlight--
      const took = this.admission.seconds() - this.admittedAt
      lane.serviceS = lane.serviceS === null ? took : lane.serviceS * 0.8 + took * 0.2
    } else {
      lane.queue.delete(this)
      this.wake?.()
    }
    pump(lane)
  }

  /** For the lane only: moves from the queue to the engine. */
  go(): void {
    this.admittedAt = this.admission.seconds()
    this.lane.inFlight++
    this.wake?.()
    this.wake = null
  }
}

function pump(lane: Lane): void {
  for (const ticket of lane.queue) {
    if (lane.inFlight >= lane.limit) return
    lane.queue.delete(ticket)
    ticket.go()
  }
}

/** Seconds until the queue has probably moved on, between 1 and 60. */
function retryAfter(lane: Lane): number {
  const waiting = lane.tickets - lane.inFlight
  const estimate = ((lane.serviceS ?? 1) * waiting) / lane.limit
  return Math.min(60, Math.max(1, Math.ceil(estimate)))
}
