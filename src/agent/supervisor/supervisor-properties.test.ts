import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { type SupervisorEffects, supervisorDefaults } from './effects.ts'
import { anyWish } from './slot.ts'
import { Supervisor } from './supervisor.ts'

/**
 * A world around the supervisor: engines that come up, fail, crash and end in any order, callers that ask, give up
 * and let go. Whatever happens, it checks what must always hold.
 */
class World {
  readonly clock = new FakeClock()
  readonly budget = 100
  private readonly sizes = [30, 45, 60, 90]
  private readonly live = new Map<number, { model: string; up: boolean; ending: boolean; bytes: number }>()
  private readonly leases = new Map<number, number>()
  private readonly open = new Set<number>()
  private nextTicket = 1
  private readonly supervisor: Supervisor

  constructor() {
    const effects: SupervisorEffects = {
      start: (attempt, model, plan) => {
        expect([...this.live.values()].map((engine) => engine.model)).not.toContain(model)
        this.live.set(attempt, { model, up: false, ending: false, bytes: plan.needBytes })
        const used = [...this.live.values()].reduce((sum, engine) => sum + engine.bytes, 0)
        expect(used).toBeLessThanOrEqual(this.budget)
      },
      abandon: (attempt) => {
        expect(this.live.get(attempt)?.up).toBe(false)
      },
      stop: (attempt) => {
        const engine = this.live.get(attempt)
        expect(engine?.up).toBe(true)
        engine!.ending = true
      },
      checkHealth: () => undefined,
      granted: (ticket, lease, attempt) => {
        this.answer(ticket)
        expect(this.live.get(attempt)).toMatchObject({ up: true, ending: false })
        this.leases.set(lease, attempt)
      },
      done: (ticket) => this.answer(ticket),
      refused: (ticket) => this.answer(ticket),
      progress: (ticket) => {
        expect(this.open).toContain(ticket)
      },
      died: (lease) => {
        expect(this.leases.delete(lease)).toBe(true)
      },
      changed: () => undefined,
      log: (_, fields, message) => {
        // "Never evict what is answering."
        if (!message.startsWith('unloading an idle model')) return
        const evicted = (fields as { model: string }).model
        const holders = [...this.leases.values()].map((attempt) => this.live.get(attempt)?.model)
        expect(holders).not.toContain(evicted)
      },
    }
    const config = { ...supervisorDefaults, memoryBudgetBytes: () => this.budget, healthEveryMs: 1e12 }
    this.supervisor = new Supervisor(config, effects, this.clock)
  }

  private answer(ticket: number): void {
    expect(this.open.delete(ticket)).toBe(true)
  }

  private facts(which: number) {
    const size = this.sizes[which % 4]!
    return { id: `m${which % 4}`, demo: which % 4 === 0, contextMax: 4096, need: () => size }
  }

  /** One random event; `which` and `other` choose among what is possible. */
  step(kind: number, which: number, other: number): void {
    const pick = <T>(items: Iterable<T>): T | undefined => {
      const all = [...items]
      return all[which % Math.max(1, all.length)]
    }
    const facts = this.facts(which)
    const events = [
      () => this.supervisor.onAcquire(this.openTicket(), facts),
      () =>
        this.supervisor.onLoad(
          this.openTicket(),
          facts,
          { ...anyWish, parallel: 1 + (other % 3) },
          { keep: other % 7 === 0, ifRoom: other % 5 === 0 },
        ),
      () => this.supervisor.onUnload(this.openTicket(), facts.id),
      () => this.giveUp(pick(this.open)),
      () => this.release(pick(this.leases.keys())),
      () => this.comeUp(pick(this.live.keys())),
      () => this.end(pick(this.live.keys())),
      () => this.clock.advance(other * 700),
      () => this.supervisor.onQuiet([0, 1, 2, 3].map((each) => this.facts(each))),
    ]
    events[kind]?.()
  }

  private openTicket(): number {
    this.open.add(this.nextTicket)
    return this.nextTicket++
  }

  private giveUp(ticket: number | undefined): void {
    if (ticket === undefined) return
    this.open.delete(ticket)
    this.supervisor.onGiveUp(ticket)
  }

  private release(lease: number | undefined): void {
    if (lease === undefined) return
    this.leases.delete(lease)
    this.supervisor.onRelease(lease)
  }

  private comeUp(attempt: number | undefined): void {
    const engine = attempt === undefined ? undefined : this.live.get(attempt)
    if (attempt === undefined || !engine || engine.up) return
    engine.up = true
    const running = { engine: 'e', pid: attempt, contextTokens: 4096, parallel: 4, threads: 1 }
    this.supervisor.onStarted(attempt, running)
  }

  /** A start fails, or a process ends: asked to, or by itself. */
  private end(attempt: number | undefined): void {
    const engine = attempt === undefined ? undefined : this.live.get(attempt)
    if (attempt === undefined || !engine) return
    this.live.delete(attempt)
    if (engine.up) this.supervisor.onExited(attempt, 'gone')
    else this.supervisor.onStartFailed(attempt, new HolonError('model_load_failed', 'failed'))
  }

  /** Everyone lets go, every engine does what it is told, time passes: nobody may still be waiting. */
  settle(): void {
    for (let round = 0; round < 40; round++) {
      for (const lease of [...this.leases.keys()]) this.release(lease)
      for (const [attempt, engine] of [...this.live]) {
        if (engine.ending) this.end(attempt)
        else this.comeUp(attempt)
      }
      this.clock.advance(5_000)
    }
    expect([...this.open]).toEqual([])
  }

  close(): void {
    this.supervisor.onClose()
    for (const [attempt, engine] of [...this.live]) {
      if (engine.up) expect(engine.ending).toBe(true)
      this.end(attempt)
    }
    this.clock.advance(1e9)
    expect(this.live.size).toBe(0)
    expect([...this.open]).toEqual([])
  }
}

const events = fc.array(fc.tuple(fc.nat(8), fc.nat(50), fc.nat(50)), { maxLength: 80 })

it('answers everyone once, stays within memory and evicts nobody who answers, whatever happens', () => {
  fc.assert(
    fc.property(events, (steps) => {
      const world = new World()
      for (const [kind, which, other] of steps) world.step(kind, which, other)
      world.settle()
    }),
    { numRuns: 600 },
  )
})

it('leaves no process and nobody waiting when it is closed at any moment', () => {
  fc.assert(
    fc.property(events, (steps) => {
      const world = new World()
      for (const [kind, which, other] of steps) world.step(kind, which, other)
      world.close()
    }),
    { numRuns: 400 },
  )
})
