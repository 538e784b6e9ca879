import { beforeEach, describe, expect, it } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import type { SupervisorConfig } from './effects.ts'
import { model, RecordedSupervisor } from './recorded-supervisor.ts'
import { anyWish } from './slot.ts'

let supervisor: RecordedSupervisor
function make(config: Partial<SupervisorConfig> = {}): void {
  supervisor = new RecordedSupervisor(config)
}
beforeEach(() => make())

describe('crashes', () => {
  it('tell those who held it, and restart after a pause that doubles', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.done()
    supervisor.crash(1)
    expect(supervisor.done()).toEqual(['died 1 Segmentation fault.'])
    supervisor.clock.advance(999)
    expect(supervisor.done()).toEqual([])
    supervisor.clock.advance(1)
    expect(supervisor.done()).toEqual(['start 2 a ctx=8192 par=4'])
    supervisor.running(2)
    supervisor.crash(2)
    supervisor.clock.advance(1_999)
    expect(supervisor.done()).toEqual([])
    supervisor.clock.advance(1)
    expect(supervisor.done()).toEqual(['start 3 a ctx=8192 par=4'])
  })

  it('make callers wait for the restart instead of failing them', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.crash(1)
    supervisor.done()
    supervisor.onAcquire(2, model('a'))
    supervisor.clock.advance(1_000)
    supervisor.running(2)
    expect(supervisor.done()).toEqual(['start 2 a ctx=8192 par=4', 'grant 2 lease=2 of 2'])
  })

  it('are forgotten after a stable minute, and pause at most a minute', () => {
    make({ healthEveryMs: 1e9, maxIdleRestarts: 100 })
    supervisor.onAcquire(1, model('a'))
    for (let attempt = 1; attempt <= 9; attempt++) {
      supervisor.running(attempt)
      supervisor.crash(attempt)
      supervisor.clock.advance(60_000)
    }
    expect(supervisor.done().filter((act) => act.startsWith('start')).length).toBe(10)
    supervisor.running(10)
    supervisor.clock.advance(60_000)
    supervisor.crash(10)
    supervisor.done()
    supervisor.clock.advance(1_000)
    expect(supervisor.done()).toEqual(['start 11 a ctx=8192 par=4'])
  })

  it('end in a failure when nobody waits and it crashes every time; the next caller may try again', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onGiveUp(1)
    for (let attempt = 1; attempt <= 4; attempt++) {
      supervisor.running(attempt)
      supervisor.crash(attempt)
      supervisor.clock.advance(60_000)
    }
    expect(supervisor.state('a')).toBe('failed')
    supervisor.done()
    supervisor.onAcquire(2, model('a'))
    expect(supervisor.done()).toEqual(['start 5 a ctx=8192 par=4'])
  })

  it('include an engine that runs and no longer answers', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.done()
    for (let check = 0; check < 3; check++) {
      supervisor.clock.advance(15_000)
      expect(supervisor.done()).toEqual(['check 1'])
      supervisor.onHealth(1, false)
    }
    expect(supervisor.done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'killed')
    expect(supervisor.done()).toEqual(['died 1 The engine stopped answering and was ended.'])
    supervisor.clock.advance(1_000)
    expect(supervisor.done()).toEqual(['start 2 a ctx=8192 par=4'])
  })

  it('forgive a health check that fails now and then', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    for (const healthy of [false, false, true, false, false, true]) {
      supervisor.clock.advance(15_000)
      supervisor.onHealth(1, healthy)
    }
    expect(supervisor.state('a')).toBe('ready')
  })
})

describe('load with other settings', () => {
  const wish = { ...anyWish, contextTokens: 16_384 }

  it('waits for the answers under way, then reloads, and serves who came meanwhile', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.onLoad(2, model('a'), wish)
    supervisor.onAcquire(3, model('a'))
    supervisor.done()
    supervisor.onRelease(1)
    expect(supervisor.done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['start 2 a ctx=16384 par=4'])
    supervisor.onStarted(2, { engine: 'fake', pid: 5, contextTokens: 16_384, parallel: 4, threads: null })
    expect(supervisor.done()).toEqual(['done 2', 'grant 3 lease=2 of 2'])
  })

  it('is done at once when that is what runs', () => {
    supervisor.idle(model('a'), 1, 1, 1)
    supervisor.onLoad(2, model('a'), { contextTokens: 8192, parallel: null, engine: 'fake' })
    expect(supervisor.done()).toEqual(['done 2'])
  })

  it('is refused without touching what runs when it cannot be granted', () => {
    supervisor.idle(model('a', 0, { need: (context) => context / 200 }), 1, 1, 1)
    supervisor.onLoad(2, model('a'), { ...anyWish, contextTokens: 1_000_000 })
    supervisor.onLoad(3, model('a', 0, { need: (context) => context / 200 }), {
      ...anyWish,
      contextTokens: 32_768,
    })
    expect(supervisor.done()).toEqual(['refuse 2 invalid_parameter', 'refuse 3 model_too_big'])
    expect(supervisor.state('a')).toBe('ready')
  })

  it('replaces a load under way', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onLoad(2, model('a'), wish)
    expect(supervisor.done()).toEqual(['start 1 a ctx=8192 par=4', 'abandon 1'])
    supervisor.onStartFailed(1, new HolonError('model_load_failed', 'Given up.'))
    expect(supervisor.done()).toEqual(['start 2 a ctx=16384 par=4'])
  })

  it('that fail are forgotten, so that the next caller gets the usual ones', () => {
    supervisor.onLoad(1, model('a'), wish)
    supervisor.onStartFailed(1, new HolonError('model_load_failed', 'Too long for me.'))
    supervisor.clock.advance(5_000)
    supervisor.onAcquire(2, model('a'))
    expect(supervisor.done()).toEqual([
      'start 1 a ctx=16384 par=4',
      'refuse 1 model_load_failed',
      'start 2 a ctx=8192 par=4',
    ])
  })

  it('gives up on answers that never end, and goes on serving', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.onLoad(2, model('a'), wish)
    supervisor.onAcquire(3, model('a'))
    supervisor.done()
    supervisor.clock.advance(60_000)
    expect(supervisor.done()).toEqual(['refuse 2 overloaded', 'grant 3 lease=2 of 1'])
  })
})

describe('unload', () => {
  it('waits for answers, then ends the engine', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.onUnload(2, 'a')
    supervisor.done()
    supervisor.onRelease(1)
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['stop 1', 'done 2'])
    expect(supervisor.state('a')).toBe('absent')
  })

  it('keeps no longer what was kept and is not in memory', () => {
    supervisor.onKeep([model('a')])
    supervisor.onUnload(1, 'a')
    supervisor.onQuiet([model('a')])
    expect(supervisor.done()).toEqual(['done 1'])
  })

  it('does not wait for ever', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.onUnload(2, 'a')
    supervisor.done()
    supervisor.clock.advance(60_000)
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['stop 1', 'died 1 a was unloaded.', 'done 2'])
  })

  it('ends a load under way, even when the engine comes up all the same', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onUnload(2, 'a')
    supervisor.running(1)
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual([
      'start 1 a ctx=8192 par=4',
      'refuse 1 model_load_failed',
      'abandon 1',
      'stop 1',
      'done 2',
    ])
  })

  it('stops restarts after a crash, and is done at once for what is not there', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.onExited(1, 'boom')
    supervisor.onUnload(2, 'a')
    supervisor.onUnload(3, 'never-heard-of')
    supervisor.done()
    supervisor.clock.advance(100_000)
    expect(supervisor.done()).toEqual([])
  })

  it('brings the model back for who asked while it went', () => {
    supervisor.idle(model('a'), 1, 1, 1)
    supervisor.onUnload(2, 'a')
    supervisor.onAcquire(3, model('a'))
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['stop 1', 'done 2', 'start 2 a ctx=8192 par=4'])
  })
})

describe('closing', () => {
  it('refuses who waits, ends what runs and what starts, and takes nobody in', () => {
    supervisor.idle(model('ready', 10), 1, 1, 1)
    supervisor.onAcquire(2, model('starting', 10))
    supervisor.onAcquire(3, model('crashed', 10))
    supervisor.running(3)
    supervisor.onExited(3, 'boom')
    supervisor.done()
    supervisor.onClose()
    expect(supervisor.done()).toEqual(['stop 1', 'refuse 2 not_running', 'abandon 2'])
    supervisor.onExited(1, 'ended')
    supervisor.onStartFailed(2, new HolonError('model_load_failed', 'Given up.'))
    supervisor.onAcquire(4, model('ready', 10))
    supervisor.clock.advance(1e9)
    expect(supervisor.done()).toEqual(['refuse 4 not_running'])
    expect(supervisor.views().every((slot) => slot.attempt === null)).toBe(true)
  })
})
