import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Lane, lanes } from '../../protocol/lane.ts'
import { Admission, lineKey, type Ticket } from './admission.ts'

const key = lineKey('node', 'model')

/** An engine that answers `parallel` at once; time passes from one end of an answer to the next. */
class Engine {
  now = 0
  readonly admission = new Admission({ maxWaiting: 100_000, now: () => this.now })
  readonly turns: string[] = []
  /** Seconds the engine has spent on each caller. */
  readonly served = new Map<string, number>()
  inFlight: { ticket: Ticket; caller: string; costS: number; endS: number }[] = []
  waiting = 0
  private readonly parallel: number

  constructor(parallel: number) {
    this.parallel = parallel
  }

  come(caller: string, costS: number, lane: Lane = 'production'): Ticket {
    const ticket = this.admission.enter(key, caller, lane)
    const go = () => {
      this.turns.push(caller)
      this.inFlight.push({ ticket, caller, costS, endS: this.now + costS })
    }
    const { go: tell } = ticket
    // The line calls `go` at the turn itself; a promise would tell it a moment later.
    ticket.go = () => {
      tell.call(ticket)
      if (queued) this.waiting--
      go()
    }
    const queued = this.inFlight.length >= this.parallel || this.waiting > 0
    if (queued) this.waiting++
    ticket.admit(this.parallel)
    return ticket
  }

  /** The answer that ends next ends. */
  step(): boolean {
    const next = this.inFlight.sort((a, b) => a.endS - b.endS).shift()
    if (next === undefined) return false
    this.now = next.endS
    this.served.set(next.caller, (this.served.get(next.caller) ?? 0) + next.costS)
    next.ticket.leave()
    return true
  }
}

const cost = fc.integer({ min: 1, max: 20 })

describe('the line', () => {
  test('one key with 500 waiting delays the first of another by no more than one answer', () => {
    const engine = new Engine(1)
    for (let index = 0; index < 500; index++) engine.come('greedy', 3)
    const modest = engine.come('modest', 3)
    expect(modest.position()).toBe(0)
    engine.step()
    expect(engine.turns.slice(0, 3)).toEqual(['greedy', 'modest'])
  })

  test('callers who always wait get equal seconds of the engine, whatever their answers cost', () => {
    fc.assert(
      fc.property(
        fc.array(cost, { minLength: 2, maxLength: 6 }),
        fc.array(cost, { minLength: 1, maxLength: 40 }),
        (typical, jitter) => {
          const engine = new Engine(1)
          typical.forEach((each, caller) => {
            for (let turn = 0; turn < 400; turn++) {
              engine.come(String(caller), each + (jitter[turn % jitter.length] ?? 0))
            }
          })
          for (let turn = 0; turn < 200; turn++) engine.step()
          const served = typical.map((_, caller) => engine.served.get(String(caller)) ?? 0)
          // Each is at most one answer ahead, and one is under way.
          expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(2 * 40)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('nobody saves turns up by staying away, and nobody pays for a time when the line was empty', () => {
    const engine = new Engine(1)
    for (let turn = 0; turn < 50; turn++) {
      engine.come('early', 5)
      engine.step()
    }
    for (let turn = 0; turn < 10; turn++) {
      engine.come('late', 5)
      engine.come('early', 5)
    }
    const from = engine.turns.length
    for (let turn = 0; turn < 10; turn++) engine.step()
    const of = (caller: string) => engine.turns.slice(from).filter((each) => each === caller).length
    expect(Math.abs(of('late') - of('early'))).toBeLessThanOrEqual(2)
  })

  test('production goes first, and the others get their turns within a bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), cost, (parallel, costS) => {
        const engine = new Engine(parallel)
        for (let index = 0; index < 300; index++) engine.come(`production`, costS)
        for (let index = 0; index < 20; index++) {
          engine.come('research', costS, 'research')
          engine.come('experimental', costS, 'experimental')
        }
        while (engine.turns.length < 200 && engine.step());
        const turns = engine.turns.slice(0, 200)
        let sinceResearch = 0
        let sinceExperimental = 0
        let research = 0
        for (const turn of turns) {
          sinceResearch = turn === 'research' ? 0 : sinceResearch + 1
          sinceExperimental = turn === 'experimental' ? 0 : sinceExperimental + 1
          if (turn === 'research') research++
          if (research < 20) expect(sinceResearch).toBeLessThanOrEqual(6 + parallel)
          expect(sinceExperimental).toBeLessThanOrEqual(18 + parallel)
        }
        expect(turns.filter((turn) => turn === 'production').length).toBeGreaterThan(130)
      }),
      { numRuns: 30 },
    )
  })

  const event = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        caller: fc.integer({ min: 0, max: 5 }),
        costS: cost,
        lane: fc.constantFrom(...lanes),
      }),
    },
    { weight: 2, arbitrary: fc.constant('step' as const) },
    { weight: 1, arbitrary: fc.record({ leave: fc.nat() }) },
  )

  test('whatever comes, goes and leaves: nobody is lost, nobody goes twice, no engine idles while somebody waits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(event, { maxLength: 200 }), (parallel, events) => {
        let now = 0
        const admission = new Admission({ maxWaiting: 1_000, now: () => now })
        const here = new Map<Ticket, 'waiting' | 'going'>()
        let gone = 0
        const check = () => {
          const going = [...here.values()].filter((state) => state === 'going').length
          const waiting = here.size - going
          expect(admission.totals()).toEqual({ inFlight: going, waiting })
          expect(going).toBeLessThanOrEqual(parallel)
          if (waiting > 0) expect(going).toBe(parallel)
          const parts = admission.view().flatMap((view) => view.parts)
          expect(parts.reduce((sum, part) => sum + part.waiting + part.inFlight, 0)).toBe(here.size)
          for (const [ticket, state] of here) {
            const position = ticket.position()
            expect(position).toBeGreaterThanOrEqual(0)
            expect(position).toBeLessThan(Math.max(1, waiting))
            if (state === 'going') expect(position).toBe(0)
          }
        }
        for (const each of events) {
          if (each === 'step') {
            const next = [...here].find(([, state]) => state === 'going')
            if (!next) continue
            now += 1
            here.delete(next[0])
            next[0].leave()
          } else if ('leave' in each) {
            const all = [...here.keys()]
            const one = all[each.leave % Math.max(1, all.length)]
            if (!one) continue
            here.delete(one)
            one.leave()
            one.leave()
          } else {
            const ticket = admission.enter(key, String(each.caller), each.lane)
            const { go } = ticket
            here.set(ticket, 'waiting')
            ticket.go = () => {
              expect(here.get(ticket)).toBe('waiting')
              go.call(ticket)
              gone++
              here.set(ticket, 'going')
            }
            ticket.admit(parallel)
          }
          check()
        }
        for (let ticket = [...here].find(([, state]) => state === 'going')?.[0]; ticket; ) {
          here.delete(ticket)
          ticket.leave()
          check()
          ticket = [...here].find(([, state]) => state === 'going')?.[0]
        }
        expect(here.size).toBe(0)
        expect(gone).toBeLessThanOrEqual(events.length)
      }),
      { numRuns: 300 },
    )
  })

  test('a waiting one is served in bounded time however many others keep coming', () => {
    fc.assert(
      fc.property(fc.constantFrom(...lanes), fc.integer({ min: 1, max: 8 }), (lane, others) => {
        const engine = new Engine(1)
        for (let index = 0; index < others * 3; index++) engine.come(`busy${index % others}`, 2)
        engine.come('patient', 2, lane)
        let turns = 0
        while (!engine.turns.includes('patient')) {
          engine.come(`busy${turns % others}`, 2)
          engine.step()
          turns++
          expect(turns).toBeLessThanOrEqual(20 + others)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('ten thousand keys come and go, and the line does not remember them', () => {
    const engine = new Engine(1)
    for (let index = 0; index < 10_000; index++) {
      engine.come(`key${index}`, 1)
      engine.step()
    }
    const flows = (
      engine.admission as unknown as { lines: Map<string, { queues: { flows: Map<string, unknown> }[] }> }
    ).lines
    const kept = [...flows.values()].flatMap(({ queues }) => queues.map((queue) => queue.flows.size))
    expect(Math.max(...kept)).toBeLessThanOrEqual(1_024)
  })
})
