import { beforeEach, describe, expect, it } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import type { SupervisorConfig } from './effects.ts'
import { model, RecordedSupervisor } from './recorded-supervisor.ts'

let supervisor: RecordedSupervisor
function make(config: Partial<SupervisorConfig> = {}): void {
  supervisor = new RecordedSupervisor(config)
}
beforeEach(() => make())

describe('one load for all who ask', () => {
  it('starts once and grants everyone when it is up', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onAcquire(2, model('a'))
    expect(supervisor.done()).toEqual(['start 1 a ctx=8192 par=4'])
    supervisor.running(1)
    expect(supervisor.done()).toEqual(['grant 1 lease=1 of 1', 'grant 2 lease=2 of 1'])
    supervisor.onAcquire(3, model('a'))
    expect(supervisor.done()).toEqual(['grant 3 lease=3 of 1'])
  })

  it('passes progress to all who wait, and the latest to who comes later', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onProgress(1, 'fake', { phase: 'reading weights', percent: 40, etaS: 3 })
    supervisor.onAcquire(2, model('a'))
    expect(supervisor.told().slice(-2)).toEqual(['progress 1 reading weights', 'progress 2 reading weights'])
  })

  it('goes on loading when one caller gives up, and when all do', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onAcquire(2, model('a'))
    supervisor.onGiveUp(1)
    supervisor.onGiveUp(2)
    supervisor.running(1)
    expect(supervisor.done()).toEqual(['start 1 a ctx=8192 par=4'])
    supervisor.onAcquire(3, model('a'))
    expect(supervisor.done()).toEqual(['grant 3 lease=1 of 1'])
  })

  it('tells a failure to all who wait, remembers it briefly, then tries again', () => {
    supervisor.onAcquire(1, model('a'))
    supervisor.onAcquire(2, model('a'))
    supervisor.onStartFailed(1, new HolonError('model_file_invalid', 'Garbage.'))
    supervisor.onAcquire(3, model('a'))
    expect(supervisor.done()).toEqual([
      'start 1 a ctx=8192 par=4',
      'refuse 1 model_file_invalid',
      'refuse 2 model_file_invalid',
      'refuse 3 model_file_invalid',
    ])
    expect(supervisor.state('a')).toBe('failed')
    supervisor.clock.advance(5_000)
    supervisor.onAcquire(4, model('a'))
    expect(supervisor.done()).toEqual(['start 2 a ctx=8192 par=4'])
  })
})

describe('memory', () => {
  it('refuses with numbers what can never fit', () => {
    const refused: HolonError[] = []
    const refuse = (_: number, error: HolonError) => void refused.push(error)
    supervisor = new RecordedSupervisor({ memoryBudgetBytes: () => 20e9 }, { refused: refuse })
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
    expect(supervisor.done()).toEqual(['start 1 a ctx=2048 par=4'])
    make()
    supervisor.onAcquire(1, cache(0.02))
    expect(supervisor.done()).toEqual(['start 1 a ctx=4096 par=1'])
  })

  it('asks idle models to leave, the least recently used first, and only as many as needed', () => {
    supervisor.idle(model('old', 40), 1, 1, 1)
    supervisor.clock.advance(1000)
    supervisor.idle(model('newer', 40), 2, 2, 2)
    supervisor.onAcquire(3, model('c', 50))
    expect(supervisor.done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['start 3 c ctx=8192 par=4'])
    expect(supervisor.state('newer')).toBe('ready')
  })

  it('never evicts what is answering: it waits for the answer, then takes the room', () => {
    supervisor.onAcquire(1, model('busy', 80))
    supervisor.running(1)
    supervisor.onAcquire(2, model('next', 80))
    supervisor.clock.advance(20_000)
    expect(supervisor.done()).toEqual(['start 1 busy ctx=8192 par=4', 'grant 1 lease=1 of 1', 'check 1'])
    supervisor.onRelease(1)
    expect(supervisor.done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['start 2 next ctx=8192 par=4'])
  })

  it('waits for memory no longer than it may', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('busy', 80))
    supervisor.running(1)
    supervisor.onAcquire(2, model('next', 80))
    supervisor.done()
    supervisor.clock.advance(180_000)
    expect(supervisor.done()).toEqual(['refuse 2 overloaded'])
    expect(supervisor.state('next')).toBe('absent')
  })

  it('is not overtaken while it waits, so that a big model gets its turn', () => {
    supervisor.onAcquire(1, model('busy', 60))
    supervisor.running(1)
    supervisor.onAcquire(2, model('big', 90))
    supervisor.onAcquire(3, model('small', 10))
    supervisor.done()
    supervisor.onRelease(1)
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual([
      'stop 1',
      'start 2 big ctx=8192 par=4',
      'start 3 small ctx=8192 par=4',
    ])
  })

  it('lets the next in line go first when the one before gives up', () => {
    supervisor.onAcquire(1, model('busy', 60))
    supervisor.running(1)
    supervisor.onAcquire(2, model('big', 90))
    supervisor.onAcquire(3, model('small', 10))
    supervisor.done()
    supervisor.onGiveUp(2)
    expect(supervisor.done()).toEqual(['start 2 small ctx=8192 par=4'])
  })
})

describe('idle models', () => {
  it('leave after the idle time, counted from the last answer', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.idle(model('a'), 1, 1, 1)
    supervisor.clock.advance(599_000)
    supervisor.onAcquire(2, model('a'))
    supervisor.onRelease(2)
    supervisor.clock.advance(599_000)
    expect(supervisor.done()).toEqual(['grant 2 lease=2 of 1'])
    supervisor.clock.advance(1_000)
    expect(supervisor.done()).toEqual(['stop 1'])
  })

  it('stay while answering, when told never to leave, and when they are the demonstration', () => {
    make({ healthEveryMs: 1e9 })
    supervisor.onAcquire(1, model('a'))
    supervisor.running(1)
    supervisor.idle(model('demo', 10, { demo: true }), 2, 2, 2)
    supervisor.clock.advance(1e8)
    expect(supervisor.done().filter((act) => act.startsWith('stop'))).toEqual([])
    make({ idleUnloadMs: 0, healthEveryMs: 1e9 })
    supervisor.idle(model('a'), 1, 1, 1)
    supervisor.clock.advance(1e8)
    expect(supervisor.done()).toEqual([])
  })
})
