import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import {
  type ModelFacts,
  type SupervisorConfig,
  type SupervisorEffects,
  supervisorDefaults,
} from './effects.ts'
import { anyWish } from './slot.ts'
import { Supervisor } from './supervisor.ts'

let clock: FakeClock
let acts: string[]
let supervisor: Supervisor
let budget: number

/** Writes down what the supervisor does, in words. */
const recorder: SupervisorEffects = {
  start: (attempt, model, plan) =>
    acts.push(`start ${attempt} ${model} ctx=${plan.contextTokens} par=${plan.parallel}`),
  abandon: (attempt) => acts.push(`abandon ${attempt}`),
  stop: (attempt) => acts.push(`stop ${attempt}`),
  checkHealth: (attempt) => acts.push(`check ${attempt}`),
  granted: (ticket, lease, attempt) => acts.push(`grant ${ticket} lease=${lease} of ${attempt}`),
  done: (ticket) => acts.push(`done ${ticket}`),
  refused: (ticket, error) => acts.push(`refuse ${ticket} ${error.code}`),
  progress: (ticket, { phase }) => acts.push(`progress ${ticket} ${phase}`),
  died: (lease, sentence) => acts.push(`died ${lease} ${sentence}`),
  changed: () => undefined,
  log: () => undefined,
}

function make(config: Partial<SupervisorConfig> = {}): void {
  clock = new FakeClock()
  acts = []
  budget = 100
  supervisor = new Supervisor(
    { ...supervisorDefaults, memoryBudgetBytes: () => budget, ...config },
    recorder,
    clock,
  )
}
beforeEach(() => make())

/** A model of `size` bytes whose cache costs nothing, unless told. */
const model = (id: string, size = 40, more: Partial<ModelFacts> = {}): ModelFacts => ({
  id,
  demo: false,
  contextMax: 32_768,
  need: () => size,
  ...more,
})
/** What was done since the last look, without progress. */
const done = (): string[] => acts.splice(0).filter((act) => !act.startsWith('progress'))
const running = (attempt: number, engine = 'fake') =>
  supervisor.onStarted(attempt, { engine, pid: 1000 + attempt, contextTokens: 8192, parallel: 4, threads: 2 })
/** Brings a model up for one caller, and lets it go. Returns with the model idle. */
function idle(facts: ModelFacts, ticket: number, attempt: number, lease: number): void {
  supervisor.onAcquire(ticket, facts)
  running(attempt)
  supervisor.onRelease(lease)
  done()
}
const state = (id: string) => supervisor.views().find((slot) => slot.facts.id === id)?.state

describe('one load for all who ask', () => {
  it('starts once and grants everyone when it is up', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onAcquire(2, model('a'))
    expect(done()).toEqual(['start 1 a ctx=8192 par=4'])
    running(1)
    expect(done()).toEqual(['grant 1 lease=1 of 1', 'grant 2 lease=2 of 1'])
    supervisor.onAcquire(3, model('a'))
    expect(done()).toEqual(['grant 3 lease=3 of 1'])
  })

  it('passes progress to all who wait, and the latest to who comes later', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onProgress(1, 'fake', { phase: 'reading weights', percent: 40, etaS: 3 })
    supervisor.onAcquire(2, model('a'))
    expect(acts).toContain('progress 1 reading weights')
    expect(acts).toContain('progress 2 reading weights')
  })

  it('goes on loading when one caller gives up, and when all do', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onAcquire(2, model('a'))
    supervisor.onGiveUp(1)
    supervisor.onGiveUp(2)
    running(1)
    expect(done()).toEqual(['start 1 a ctx=8192 par=4'])
    supervisor.onAcquire(3, model('a'))
    expect(done()).toEqual(['grant 3 lease=1 of 1'])
  })

  it('tells a failure to all who wait, remembers it briefly, then tries again', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onAcquire(2, model('a'))
    supervisor.onStartFailed(1, new HolonError('model_file_invalid', 'Garbage.'))
    supervisor.onAcquire(3, model('a'))
    expect(done()).toEqual([
      'start 1 a ctx=8192 par=4',
      'refuse 1 model_file_invalid',
      'refuse 2 model_file_invalid',
      'refuse 3 model_file_invalid',
    ])
    expect(state('a')).toBe('failed')
    clock.advance(5_000)
    supervisor.onAcquire(4, model('a'))
    expect(done()).toEqual(['start 2 a ctx=8192 par=4'])
  })
})

describe('memory', () => {
  it('refuses with numbers what can never fit', () => {
    const refused: HolonError[] = []
    supervisor = new Supervisor(
      { ...supervisorDefaults, memoryBudgetBytes: () => 20e9 },
      { ...recorder, refused: (_, error) => refused.push(error) },
      clock,
    )
    supervisor.onAcquire(1, model('huge', 48e9))
    expect(refused[0]).toMatchObject({ code: 'model_too_big' })
    expect(refused[0]?.message).toBe(
      'huge needs 48.0 GB with a context of 512 tokens for 1 at once; models may take 20.0 GB on this machine.',
    )
  })

  it('shortens the usual context, then the parallel answers, until it fits', () => {
    const cache = (perToken: number) =>
      model('a', 0, { need: (context, parallel) => 10 + perToken * context * parallel })
    supervisor.onAcquire(1, cache(0.01))
    expect(done()).toEqual(['start 1 a ctx=2048 par=4'])
    make()
    supervisor.onAcquire(1, cache(0.02))
    expect(done()).toEqual(['start 1 a ctx=4096 par=1'])
  })

  it('asks idle models to leave, the least recently used first, and only as many as needed', () => {
    idle(model('old', 40), 1, 1, 1)
    clock.advance(1000)
    idle(model('newer', 40), 2, 2, 2)
    supervisor.onAcquire(3, model('c', 50))
    expect(done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['start 3 c ctx=8192 par=4'])
    expect(state('newer')).toBe('ready')
  })

  it('never evicts what is answering: it waits for the answer, then takes the room', () => {
    supervisor.onAcquire(1, model('busy', 80))
    running(1)
    supervisor.onAcquire(2, model('next', 80))
    clock.advance(20_000)
    expect(done()).toEqual(['start 1 busy ctx=8192 par=4', 'grant 1 lease=1 of 1', 'check 1'])
    supervisor.onRelease(1)
    expect(done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['start 2 next ctx=8192 par=4'])
  })

  it('waits for memory no longer than it may', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('busy', 80))
    running(1)
    supervisor.onAcquire(2, model('next', 80))
    done()
    clock.advance(60_000)
    expect(done()).toEqual(['refuse 2 overloaded'])
    expect(state('next')).toBe('absent')
  })

  it('is not overtaken while it waits, so that a big model gets its turn', () => {
    supervisor.onAcquire(1, model('busy', 60))
    running(1)
    supervisor.onAcquire(2, model('big', 90))
    supervisor.onAcquire(3, model('small', 10))
    done()
    supervisor.onRelease(1)
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['stop 1', 'start 2 big ctx=8192 par=4', 'start 3 small ctx=8192 par=4'])
  })

  it('lets the next in line go first when the one before gives up', () => {
    supervisor.onAcquire(1, model('busy', 60))
    running(1)
    supervisor.onAcquire(2, model('big', 90))
    supervisor.onAcquire(3, model('small', 10))
    done()
    supervisor.onGiveUp(2)
    expect(done()).toEqual(['start 2 small ctx=8192 par=4'])
  })
})

describe('idle models', () => {
  it('leave after the idle time, counted from the last answer', () => {
    make({ healthEveryMs: 1e9 })
    idle(model('a'), 1, 1, 1)
    clock.advance(599_000)
    supervisor.onAcquire(2, model('a'))
    supervisor.onRelease(2)
    clock.advance(599_000)
    expect(done()).toEqual(['grant 2 lease=2 of 1'])
    clock.advance(1_000)
    expect(done()).toEqual(['stop 1'])
  })

  it('stay while answering, when told never to leave, and when they are the demonstration', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('a'))
    running(1)
    idle(model('demo', 10, { demo: true }), 2, 2, 2)
    clock.advance(1e8)
    expect(done().filter((act) => act.startsWith('stop'))).toEqual([])
    make({ idleUnloadMs: 0, healthEveryMs: 1e9 })
    idle(model('a'), 1, 1, 1)
    clock.advance(1e8)
    expect(done()).toEqual([])
  })
})

describe('crashes', () => {
  const crash = (attempt: number): void => supervisor.onExited(attempt, 'Segmentation fault.')

  it('tell those who held it, and restart after a pause that doubles', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    done()
    crash(1)
    expect(done()).toEqual(['died 1 Segmentation fault.'])
    clock.advance(999)
    expect(done()).toEqual([])
    clock.advance(1)
    expect(done()).toEqual(['start 2 a ctx=8192 par=4'])
    running(2)
    crash(2)
    clock.advance(1_999)
    expect(done()).toEqual([])
    clock.advance(1)
    expect(done()).toEqual(['start 3 a ctx=8192 par=4'])
  })

  it('make callers wait for the restart instead of failing them', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    crash(1)
    done()
    supervisor.onAcquire(2, model('a'))
    clock.advance(1_000)
    running(2)
    expect(done()).toEqual(['start 2 a ctx=8192 par=4', 'grant 2 lease=2 of 2'])
  })

  it('are forgotten after a stable minute, and pause at most a minute', () => {
    make({ healthEveryMs: 1e9, maxIdleRestarts: 100 })
    supervisor.onAcquire(1, model('a'))
    for (let attempt = 1; attempt <= 9; attempt++) {
      running(attempt)
      crash(attempt)
      clock.advance(60_000)
    }
    expect(done().filter((act) => act.startsWith('start')).length).toBe(10)
    running(10)
    clock.advance(60_000)
    crash(10)
    done()
    clock.advance(1_000)
    expect(done()).toEqual(['start 11 a ctx=8192 par=4'])
  })

  it('end in a failure when nobody waits and it crashes every time; the next caller may try again', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onGiveUp(1)
    for (let attempt = 1; attempt <= 4; attempt++) {
      running(attempt)
      crash(attempt)
      clock.advance(60_000)
    }
    expect(state('a')).toBe('failed')
    done()
    supervisor.onAcquire(2, model('a'))
    expect(done()).toEqual(['start 5 a ctx=8192 par=4'])
  })

  it('include an engine that runs and no longer answers', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    done()
    for (let check = 0; check < 3; check++) {
      clock.advance(15_000)
      expect(done()).toEqual(['check 1'])
      supervisor.onHealth(1, false)
    }
    expect(done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'killed')
    expect(done()).toEqual(['died 1 The engine stopped answering and was ended.'])
    clock.advance(1_000)
    expect(done()).toEqual(['start 2 a ctx=8192 par=4'])
  })

  it('forgive a health check that fails now and then', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    for (const healthy of [false, false, true, false, false, true]) {
      clock.advance(15_000)
      supervisor.onHealth(1, healthy)
    }
    expect(state('a')).toBe('ready')
  })
})

describe('load with other settings', () => {
  const wish = { ...anyWish, contextTokens: 16_384 }

  it('waits for the answers under way, then reloads, and serves who came meanwhile', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    supervisor.onLoad(2, model('a'), wish)
    supervisor.onAcquire(3, model('a'))
    done()
    supervisor.onRelease(1)
    expect(done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['start 2 a ctx=16384 par=4'])
    supervisor.onStarted(2, { engine: 'fake', pid: 5, contextTokens: 16_384, parallel: 4, threads: null })
    expect(done()).toEqual(['done 2', 'grant 3 lease=2 of 2'])
  })

  it('is done at once when that is what runs', () => {
    idle(model('a'), 1, 1, 1)
    supervisor.onLoad(2, model('a'), { contextTokens: 8192, parallel: null, engine: 'fake' })
    expect(done()).toEqual(['done 2'])
  })

  it('is refused without touching what runs when it cannot be granted', () => {
    idle(model('a', 0, { need: (context) => context / 200 }), 1, 1, 1)
    supervisor.onLoad(2, model('a'), { ...anyWish, contextTokens: 1_000_000 })
    supervisor.onLoad(3, model('a', 0, { need: (context) => context / 200 }), {
      ...anyWish,
      contextTokens: 32_768,
    })
    expect(done()).toEqual(['refuse 2 invalid_parameter', 'refuse 3 model_too_big'])
    expect(state('a')).toBe('ready')
  })

  it('replaces a load under way', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onLoad(2, model('a'), wish)
    expect(done()).toEqual(['start 1 a ctx=8192 par=4', 'abandon 1'])
    supervisor.onStartFailed(1, new HolonError('model_load_failed', 'Given up.'))
    expect(done()).toEqual(['start 2 a ctx=16384 par=4'])
  })

  it('gives up on answers that never end, and goes on serving', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('a'))
    running(1)
    supervisor.onLoad(2, model('a'), wish)
    supervisor.onAcquire(3, model('a'))
    done()
    clock.advance(60_000)
    expect(done()).toEqual(['refuse 2 overloaded', 'grant 3 lease=2 of 1'])
  })
})

describe('unload', () => {
  it('waits for answers, then ends the engine', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    supervisor.onUnload(2, 'a')
    done()
    supervisor.onRelease(1)
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['stop 1', 'done 2'])
    expect(state('a')).toBe('absent')
  })

  it('does not wait for ever', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('a'))
    running(1)
    supervisor.onUnload(2, 'a')
    done()
    clock.advance(60_000)
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['stop 1', 'died 1 a was unloaded.', 'done 2'])
  })

  it('ends a load under way, even when the engine comes up all the same', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onUnload(2, 'a')
    running(1)
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual([
      'start 1 a ctx=8192 par=4',
      'refuse 1 model_load_failed',
      'abandon 1',
      'stop 1',
      'done 2',
    ])
  })

  it('stops restarts after a crash, and is done at once for what is not there', () => {
    supervisor.onAcquire(1, model('a'))
    running(1)
    supervisor.onExited(1, 'boom')
    supervisor.onUnload(2, 'a')
    supervisor.onUnload(3, 'never-heard-of')
    done()
    clock.advance(100_000)
    expect(done()).toEqual([])
  })

  it('brings the model back for who asked while it went', () => {
    idle(model('a'), 1, 1, 1)
    supervisor.onUnload(2, 'a')
    supervisor.onAcquire(3, model('a'))
    supervisor.onExited(1, 'ended')
    expect(done()).toEqual(['stop 1', 'done 2', 'start 2 a ctx=8192 par=4'])
  })
})

describe('closing', () => {
  it('refuses who waits, ends what runs and what starts, and takes nobody in', () => {
    idle(model('ready', 10), 1, 1, 1)
    supervisor.onAcquire(2, model('starting', 10))
    supervisor.onAcquire(3, model('crashed', 10))
    running(3)
    supervisor.onExited(3, 'boom')
    done()
    supervisor.onClose()
    expect(done()).toEqual(['stop 1', 'refuse 2 not_running', 'abandon 2'])
    supervisor.onExited(1, 'ended')
    supervisor.onStartFailed(2, new HolonError('model_load_failed', 'Given up.'))
    supervisor.onAcquire(4, model('ready', 10))
    clock.advance(1e9)
    expect(done()).toEqual(['refuse 4 not_running'])
    expect(supervisor.views().every((slot) => slot.attempt === null)).toBe(true)
  })
})
