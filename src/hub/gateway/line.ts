/**
 * The line in front of one model on one node: who goes next. Fair between callers by start-time fair queueing (Goyal, Vin
 * and Cheng, 1996), with the seconds an answer held the engine as its cost, known when it ends and estimated until then:
 * whoever waits alone waits behind one answer of each of the others, however many those have waiting. Lanes come in
 * order, and one that was passed over often enough gets a turn. Work conserving. Pure: no I/O, no timers.
 *
 * Waiting tickets are chained to each other rather than kept in a Map or Set, for the reason told in core/roster.ts.
 */
import { type Lane, lanes } from '../../protocol/lane.ts'

/** One request's place in a line, as the line sees it. */
export interface Place {
  readonly flow: Flow
  /** Order of arrival. */
  sequence: number
  before: Place | null
  after: Place | null
  queued: boolean
  /** Seconds its flow was charged in advance. */
  estimateS: number
  /** Told that its turn has come. */
  go(): void
}

/** The requests of one caller in one lane of a line. */
export interface Flow {
  readonly caller: string
  readonly queue: LaneQueue
  /** Entered and not yet left. */
  tickets: number
  inFlight: number
  queued: number
  first: Place | null
  last: Place | null
  /** Seconds served, counted from the lane's beginning: the next one starts here. */
  start: number
}

export interface LaneQueue {
  readonly lane: Lane
  readonly flows: Map<string, Flow>
  /** Flows that have somebody queued, in no order. */
  readonly busy: Flow[]
  tickets: number
  /** Start of the one that went last: who was away begins here, and saves nothing up. */
  virtualS: number
  /** The furthest that any flow was charged. */
  furthestS: number
  /** Turns that went to a lane before it while it had somebody waiting. */
  passedOver: number
}

/** A lane with somebody waiting gets a turn after so many went to lanes before it. */
const patience: Record<Lane, number> = { production: 0, research: 4, experimental: 16 }
/** The least that an answer costs: a clock too coarse to see it must not make it free. Seconds. */
const leastS = 0.001
/** Idle flows are forgotten beyond this many, in one sweep. */
const sweepAbove = 1_024

export class Line {
  /** Tickets taken and not yet left. */
  tickets = 0
  inFlight = 0
  /** Asked for a turn and not yet given one. */
  queued = 0
  limit = 1
  /** Mean seconds an answer takes, smoothed; null before the first. */
  serviceS: number | null = null
  readonly queues: readonly LaneQueue[] = lanes.map(emptyQueue)
  private sequence = 0
  private sweepAt = sweepAbove

  flowOf(caller: string, lane: Lane): Flow {
    const queue = this.queues[lanes.indexOf(lane)]!
    let flow = queue.flows.get(caller)
    if (flow === undefined) {
      if (queue.flows.size >= this.sweepAt) this.sweep(queue)
      flow = { caller, queue, tickets: 0, inFlight: 0, queued: 0, first: null, last: null, start: 0 }
      queue.flows.set(caller, flow)
    }
    return flow
  }

  /** One ticket more. */
  join(flow: Flow): void {
    flow.tickets++
    flow.queue.tickets++
    this.tickets++
  }

  /** Goes at once when there is room and nobody waits. */
  tryGo(place: Place): boolean {
    if (this.queued > 0 || this.inFlight >= this.limit) return false
    this.start(place)
    return true
  }

  push(place: Place): void {
    const { flow } = place
    if (place.queued) return
    place.queued = true
    place.sequence = this.sequence++
    place.before = flow.last
    if (flow.last === null) flow.first = place
    else flow.last.after = place
    flow.last = place
    if (flow.queued === 0) {
      flow.start = Math.max(flow.start, flow.queue.virtualS)
      flow.queue.busy.push(flow)
    }
    flow.queued++
    this.queued++
  }

  /** Lets go as many as there is room for. */
  pump(): void {
    while (this.queued > 0 && this.inFlight < this.limit) {
      const place = this.next()
      this.take(place)
      this.start(place)
    }
  }

  /** The place is given back. @param tookS seconds it held the engine; null when it never did */
  leave(place: Place, tookS: number | null): void {
    const { flow } = place
    const { queue } = flow
    if (place.queued) this.take(place)
    if (tookS !== null) {
      this.inFlight--
      flow.inFlight--
      flow.start += Math.max(leastS, tookS) - place.estimateS
      queue.furthestS = Math.max(queue.furthestS, flow.start)
      this.serviceS = this.serviceS === null ? tookS : this.serviceS * 0.8 + tookS * 0.2
    }
    flow.tickets--
    this.tickets--
    queue.tickets--
    // Who comes after a pause owes nothing for what was served when nobody else was there.
    if (queue.tickets === 0) queue.virtualS = queue.furthestS
    this.pump()
  }

  /** How many will probably go before this one: exact when all answers take equally long and nobody else comes. */
  position(place: Place): number {
    if (!place.queued) return 0
    const { flow } = place
    const stepS = this.usualS()
    let own = 0
    for (let other = place.before; other !== null; other = other.before) own++
    const startS = flow.start + own * stepS
    let before = own
    for (const queue of this.queues) {
      if (queue === flow.queue) break
      for (const each of queue.busy) before += each.queued
    }
    for (const each of flow.queue.busy) {
      if (each === flow) continue
      const steps = (startS - each.start) / stepS
      const earlier = each.first!.sequence < place.sequence ? Math.floor(steps) + 1 : Math.ceil(steps)
      before += Math.min(each.queued, Math.max(0, earlier))
    }
    return before
  }

  private next(): Place {
    let chosen: LaneQueue | null = null
    let overdue: LaneQueue | null = null
    for (const queue of this.queues) {
      if (queue.busy.length === 0) {
        queue.passedOver = 0
        continue
      }
      if (chosen === null) chosen = queue
      else if (overdue === null && queue.passedOver >= patience[queue.lane]) overdue = queue
    }
    const queue = (overdue ?? chosen)!
    queue.passedOver = 0
    for (const lower of this.queues.slice(this.queues.indexOf(queue) + 1)) {
      if (lower.busy.length > 0) lower.passedOver++
    }
    let best = queue.busy[0]!
    for (const flow of queue.busy) {
      if (flow.start > best.start) continue
      if (flow.start < best.start || flow.first!.sequence < best.first!.sequence) best = flow
    }
    return best.first!
  }

  /** Takes a place out of the queue. */
  private take(place: Place): void {
    const { flow, before, after } = place
    if (before === null) flow.first = after
    else before.after = after
    if (after === null) flow.last = before
    else after.before = before
    place.before = null
    place.after = null
    place.queued = false
    flow.queued--
    this.queued--
    if (flow.queued > 0) return
    const { busy } = flow.queue
    const last = busy.pop()!
    if (last !== flow) busy[busy.indexOf(flow)] = last
  }

  private start(place: Place): void {
    const { flow } = place
    const { queue } = flow
    flow.start = Math.max(flow.start, queue.virtualS)
    queue.virtualS = flow.start
    place.estimateS = this.usualS()
    flow.start += place.estimateS
    queue.furthestS = Math.max(queue.furthestS, flow.start)
    flow.inFlight++
    this.inFlight++
    place.go()
  }

  private usualS(): number {
    return this.serviceS === null ? 1 : Math.max(leastS, this.serviceS)
  }

  private sweep(queue: LaneQueue): void {
    for (const [caller, flow] of queue.flows) {
      if (flow.tickets === 0 && flow.start <= queue.virtualS) queue.flows.delete(caller)
    }
    this.sweepAt = Math.max(sweepAbove, queue.flows.size * 2)
  }
}

function emptyQueue(lane: Lane): LaneQueue {
  return { lane, flows: new Map(), busy: [], tickets: 0, virtualS: 0, furthestS: 0, passedOver: 0 }
}
