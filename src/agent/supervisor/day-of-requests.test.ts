import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { type ModelFacts, type SupervisorEffects, supervisorDefaults } from './effects.ts'
import { model } from './recorded-supervisor.ts'
import { Supervisor } from './supervisor.ts'

/** A day of requests, replayed against the supervisor and against a machine that knows nothing but who was used last. */
interface Request {
  atMs: number
  model: string
  answerMs: number
}
interface Outcome {
  loads: number
  served: number
  refused: number
  meanWaitS: number
  longestWaitS: number
}
interface Machine {
  clock: FakeClock
  ask(request: Request): void
  outcome(): Outcome
}

const loadMs = 12_000
const endMs = 500
const second = 1000
const hour = 3600 * second

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Requests at random, each model so often an hour, through eight hours; answers of 1 to 7 seconds. */
function day(perHour: Record<string, number>, seed: number): Request[] {
  const random = seeded(seed)
  const requests = Object.entries(perHour).flatMap(([name, often]) => {
    const list: Request[] = []
    for (let at = 0; ; ) {
      at += (-Math.log(1 - random()) * hour) / often
      if (at > 8 * hour) return list
      list.push({ atMs: at, model: name, answerMs: 1000 + random() * 6000 })
    }
  })
  return requests.sort((a, b) => a.atMs - b.atMs)
}

function replay(machine: Machine, requests: readonly Request[]): Outcome {
  for (const request of requests) {
    machine.clock.advance(request.atMs - machine.clock.now())
    machine.ask(request)
  }
  machine.clock.advance(hour)
  return machine.outcome()
}

/** An engine that gives two answers at once; more wait in line, as they do in the hub. */
class Lanes {
  private readonly clock: FakeClock
  private readonly line: (() => void)[] = []
  private free = 2

  constructor(clock: FakeClock) {
    this.clock = clock
  }

  answer(request: Request, begun: () => void, ended: () => void): void {
    const begin = (): void => {
      this.free--
      begun()
      this.clock.after(request.answerMs, () => {
        this.free++
        this.line.shift()?.()
        ended()
      })
    }
    if (this.free > 0) begin()
    else this.line.push(begin)
  }
}

class Tally {
  loads = 0
  refused = 0
  readonly waitsMs: number[] = []

  outcome(): Outcome {
    const { loads, refused, waitsMs } = this
    const meanWaitS = waitsMs.reduce((sum, ms) => sum + ms, 0) / waitsMs.length / 1000
    const longestWaitS = Math.max(...waitsMs) / 1000
    return { loads, refused, served: waitsMs.length, meanWaitS, longestWaitS }
  }
}

/** The supervisor as it is, over engines that take their time. */
function ours(facts: Record<string, ModelFacts>, budget: number): Machine {
  const clock = new FakeClock()
  const tally = new Tally()
  const asked = new Map<number, { request: Request; sinceMs: number }>()
  const lanes = Object.fromEntries(Object.keys(facts).map((name) => [name, new Lanes(clock)]))
  let tickets = 0
  const effects: SupervisorEffects = {
    start: (attempt) => {
      tally.loads++
      const running = { engine: 'e', pid: attempt, contextTokens: 1, parallel: 4, threads: 1 }
      clock.after(loadMs, () => supervisor.onStarted(attempt, running))
    },
    stop: (attempt) => void clock.after(endMs, () => supervisor.onExited(attempt, 'ended')),
    granted: (ticket, lease) => {
      const { request, sinceMs } = asked.get(ticket)!
      lanes[request.model]!.answer(
        request,
        () => tally.waitsMs.push(clock.now() - sinceMs),
        () => supervisor.onRelease(lease),
      )
    },
    refused: () => {
      tally.refused++
    },
    abandon: () => undefined,
    checkHealth: () => undefined,
    done: () => undefined,
    progress: () => undefined,
    died: () => undefined,
    changed: () => undefined,
    log: () => undefined,
  }
  const config = { ...supervisorDefaults, memoryBudgetBytes: () => budget, healthEveryMs: 1e12 }
  const supervisor = new Supervisor(config, effects, clock)
  return {
    clock,
    ask: (request) => {
      asked.set(++tickets, { request, sinceMs: clock.now() })
      supervisor.onAcquire(tickets, facts[request.model]!)
    },
    outcome: () => tally.outcome(),
  }
}

/** Whoever waits longest is loaded as soon as enough idle ones can leave, the least recently used first. */
function leastRecentlyUsed(facts: Record<string, ModelFacts>, budget: number): Machine {
  const clock = new FakeClock()
  const tally = new Tally()
  const here = new Map<string, { up: boolean; going: boolean; active: number; usedAt: number }>()
  const waiting = new Map<string, { request: Request; sinceMs: number }[]>()
  const lanes = Object.fromEntries(Object.keys(facts).map((name) => [name, new Lanes(clock)]))
  const size = (name: string): number => facts[name]!.need(1, 1)
  const used = (): number => [...here.keys()].reduce((sum, name) => sum + size(name), 0)
  const serve = (name: string, request: Request, sinceMs: number): void => {
    const slot = here.get(name)!
    slot.active++
    const begun = (): void => void tally.waitsMs.push(clock.now() - sinceMs)
    lanes[name]!.answer(request, begun, () => {
      slot.active--
      slot.usedAt = clock.now()
      next()
    })
  }
  const load = (name: string): void => {
    tally.loads++
    const slot = { up: false, going: false, active: 0, usedAt: 0 }
    here.set(name, slot)
    clock.after(loadMs, () => {
      slot.up = true
      const callers = waiting.get(name) ?? []
      waiting.delete(name)
      for (const { request, sinceMs } of callers) serve(name, request, sinceMs)
      next()
    })
  }
  const next = (): void => {
    const first = [...waiting.keys()].find((name) => !here.has(name))
    if (first === undefined) return
    if (used() + size(first) <= budget) {
      load(first)
      next()
      return
    }
    const going = [...here].some(([, slot]) => slot.going)
    const idle = [...here].filter(([, slot]) => slot.up && !slot.going && slot.active === 0)
    const [oldest] = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt)
    if (going || !oldest) return
    oldest[1].going = true
    clock.after(endMs, () => {
      here.delete(oldest[0])
      next()
    })
  }
  return {
    clock,
    ask: (request) => {
      const slot = here.get(request.model)
      if (slot?.up && !slot.going) {
        serve(request.model, request, clock.now())
        return
      }
      const queue = waiting.get(request.model) ?? []
      queue.push({ request, sinceMs: clock.now() })
      waiting.set(request.model, queue)
      next()
    },
    outcome: () => tally.outcome(),
  }
}

const factsOf = (sizes: Record<string, number>): Record<string, ModelFacts> =>
  Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, model(name, size)]))

function compare(
  perHour: Record<string, number>,
  sizes: Record<string, number>,
  seed: number,
): { ours: Outcome; lru: Outcome } {
  const requests = day(perHour, seed)
  const facts = factsOf(sizes)
  return { ours: replay(ours(facts, 100), requests), lru: replay(leastRecentlyUsed(facts, 100), requests) }
}

describe('a day of requests, against least recently used', () => {
  it.each([1, 2, 3])(
    'for two models on a machine that holds one: a tenth fewer loads or more (%i)',
    (seed) => {
      const { ours: mine, lru } = compare({ a: 240, b: 240 }, { a: 80, b: 80 }, seed)
      expect(mine).toMatchObject({ refused: 0, served: lru.served })
      expect(mine.loads).toBeLessThan(lru.loads * 0.9)
      expect(mine.meanWaitS).toBeLessThan(lru.meanWaitS * 1.1)
    },
  )

  it.each([1, 2, 3])(
    'for five, two of them in demand, where two fit: fewer loads, shorter waits (%i)',
    (seed) => {
      const perHour = { a: 60, b: 40, c: 4, d: 4, e: 4 }
      const { ours: mine, lru } = compare(perHour, { a: 45, b: 45, c: 45, d: 45, e: 45 }, seed)
      expect(mine).toMatchObject({ refused: 0, served: lru.served })
      expect(mine.loads).toBeLessThan(lru.loads * 0.95)
      expect(mine.meanWaitS).toBeLessThan(lru.meanWaitS)
    },
  )

  it('for one that never pauses and one asked for seldom: the seldom one does not wait without end', () => {
    const { ours: mine, lru } = compare({ a: 1400, b: 6 }, { a: 80, b: 80 }, 1)
    expect(mine).toMatchObject({ refused: 0, served: lru.served })
    expect(mine.longestWaitS).toBeLessThan(lru.longestWaitS)
  })

  it('costs a caller who asks for one after the other nothing', () => {
    const requests: Request[] = Array.from({ length: 200 }, (_, at) => ({
      atMs: at * 40 * second,
      model: at % 2 === 0 ? 'a' : 'b',
      answerMs: 3000,
    }))
    const facts = factsOf({ a: 80, b: 80 })
    const mine = replay(ours(facts, 100), requests)
    const lru = replay(leastRecentlyUsed(facts, 100), requests)
    expect(mine).toEqual(lru)
  })
})
