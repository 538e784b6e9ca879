import { beforeEach, describe, expect, it } from 'vitest'
import type { SupervisorConfig } from './effects.ts'
import { model, RecordedSupervisor } from './recorded-supervisor.ts'
import { anyWish } from './slot.ts'

/** A machine of 100 bytes that holds one of two models of 80; a load takes 4 seconds. */
let supervisor: RecordedSupervisor
let attempt: number
let ticket: number
let lease: number
const [a, b] = [model('a', 80), model('b', 80)]
const second = 1000
const minute = 60 * second

function make(config: Partial<SupervisorConfig> = {}): void {
  supervisor = new RecordedSupervisor({ healthEveryMs: 1e12, ...config })
  attempt = 0
  ticket = 0
  lease = 0
}
beforeEach(() => make())

const ask = (which: typeof a): void => supervisor.onAcquire(++ticket, which)
/** The engine that leaves is gone, the next one up after 4 s, and its first caller served. */
function comesUp(): void {
  supervisor.clock.advance(4 * second)
  supervisor.running(++attempt)
}
const served = (): void => supervisor.onRelease(++lease)
function swap(): void {
  supervisor.onExited(attempt, 'ended')
  comesUp()
}
/** a, then b, then a again: from here on they push each other out. */
function thrash(again = 1): void {
  ask(a)
  comesUp()
  served()
  for (let i = 0; i < again; i++) {
    ask(a)
    served()
  }
  ask(b)
  swap()
  served()
  ask(a)
  swap()
  served()
  supervisor.told()
}

describe('two models that are asked for in turn on a machine that holds one', () => {
  it('do not push each other out at every request: the one brought back stays and serves those who ask for it', () => {
    thrash()
    ask(b)
    expect(supervisor.done()).toEqual([])
    for (let i = 0; i < 4; i++) {
      supervisor.clock.advance(3 * second)
      ask(a)
      served()
    }
    expect(supervisor.done().filter((act) => !act.startsWith('grant'))).toEqual([])
    supervisor.clock.advance(4 * second)
    expect(supervisor.done()).toEqual([`stop ${attempt}`])
  })

  it('wait no longer than a load takes for one that nobody asks for', () => {
    thrash()
    ask(b)
    supervisor.clock.advance(3.9 * second)
    expect(supervisor.done()).toEqual([])
    supervisor.clock.advance(0.1 * second)
    expect(supervisor.done()).toEqual([`stop ${attempt}`])
  })

  it('are swapped at once for a caller who asks for one after the other, since waiting would gain nothing', () => {
    thrash(0)
    ask(b)
    expect(supervisor.done()).toEqual([`stop ${attempt}`])
  })

  it('are swapped at once when the last swap is long ago', () => {
    thrash()
    supervisor.clock.advance(5 * minute)
    ask(b)
    expect(supervisor.done()).toEqual([`stop ${attempt}`])
  })
})

describe('a model that answers without a pause', () => {
  it('lets another have its turn: newcomers wait, what was begun ends, and they are served afterwards', () => {
    ask(a)
    comesUp()
    ask(b)
    supervisor.told()
    supervisor.clock.advance(10 * second)
    ask(a)
    expect(supervisor.done()).toEqual(['grant 3 lease=2 of 1'])
    supervisor.clock.advance(15 * second)
    ask(a)
    expect(supervisor.told()).toEqual(['progress 4 waiting: another model has its turn in memory'])
    served()
    expect(supervisor.done()).toEqual([])
    served()
    expect(supervisor.done()).toEqual(['stop 1'])
    swap()
    expect(supervisor.done()).toEqual(['start 2 b ctx=8192 par=4', 'grant 2 lease=3 of 2'])
    served()
    expect(supervisor.done()).toEqual(['stop 2'])
    swap()
    expect(supervisor.done()).toEqual(['start 3 a ctx=8192 par=4', 'grant 4 lease=4 of 3'])
  })

  it('goes on at once when the one that waited gives up', () => {
    ask(a)
    comesUp()
    ask(b)
    supervisor.clock.advance(25 * second)
    ask(a)
    supervisor.told()
    supervisor.onGiveUp(2)
    expect(supervisor.done()).toEqual(['grant 3 lease=2 of 1'])
  })

  it('that yields and is unloaded leaves those who wait for it their place', () => {
    ask(a)
    comesUp()
    ask(b)
    supervisor.clock.advance(25 * second)
    ask(a)
    supervisor.told()
    supervisor.onUnload(9, 'a')
    served()
    expect(supervisor.done()).toEqual(['stop 1'])
    supervisor.onExited(1, 'ended')
    expect(supervisor.done()).toEqual(['done 9', 'start 2 b ctx=8192 par=4'])
  })
})

describe('idle time', () => {
  it('is as long as the rhythm of its requests asks for, and no longer than twelve times the usual', () => {
    ask(a)
    comesUp()
    served()
    for (let i = 0; i < 20; i++) {
      supervisor.clock.advance(9 * minute)
      ask(a)
      served()
    }
    supervisor.told()
    // Three of its gaps, where ten minutes are usual.
    supervisor.clock.advance(25 * minute)
    expect(supervisor.done()).toEqual([])
    supervisor.clock.advance(35 * minute)
    expect(supervisor.done()).toEqual(['stop 1'])
  })
})

describe('a model that is kept', () => {
  const keep = (which: typeof a): void => supervisor.onLoad(++ticket, which, anyWish, { keep: true })

  it('does not leave for want of use, leaves for others last, and comes back by itself', () => {
    const small = model('small', 50)
    make()
    keep(model('k', 40))
    comesUp()
    ask(small)
    comesUp()
    served()
    ask(model('c', 50))
    expect(supervisor.done().at(-1)).toBe('stop 2')
    swap()
    served()
    supervisor.told()
    supervisor.clock.advance(9 * minute)
    ask(model('big', 90))
    expect(supervisor.done()).toEqual(['stop 3', 'stop 1'])
    supervisor.onExited(3, 'ended')
    supervisor.onExited(1, 'ended')
    comesUp()
    served()
    supervisor.told()
    supervisor.onQuiet([model('k', 40)])
    expect(supervisor.done()).toEqual([])
    supervisor.clock.advance(10 * minute)
    supervisor.onExited(4, 'ended')
    supervisor.onQuiet([model('k', 40)])
    expect(supervisor.done()).toEqual(['stop 4', 'start 5 k ctx=8192 par=4'])
  })

  it('is like any other again once it is unloaded', () => {
    keep(a)
    comesUp()
    supervisor.onUnload(9, 'a')
    supervisor.onExited(1, 'ended')
    supervisor.told()
    supervisor.onQuiet([a])
    expect(supervisor.done()).toEqual([])
  })

  it('at the start, is loaded into free memory, one after the other, and nothing leaves for it', () => {
    ask(model('used', 60))
    comesUp()
    served()
    supervisor.onKeep([model('x', 20), model('y', 20), model('z', 60)])
    supervisor.told()
    const quiet = (): void => supervisor.onQuiet([model('x', 20), model('y', 20), model('z', 60)])
    quiet()
    quiet()
    expect(supervisor.done()).toEqual(['start 2 x ctx=8192 par=4'])
    supervisor.running(2)
    quiet()
    supervisor.running(3)
    quiet()
    expect(supervisor.done()).toEqual(['start 3 y ctx=8192 par=4'])
  })
})

describe('loading before anybody asks', () => {
  const hour = 60 * minute
  const day = 24 * hour

  it('brings a model back at the hour at which it is usually asked for, when there is room', () => {
    supervisor.clock.advance(10 * day + 9 * hour)
    for (let morning = 0; morning < 5; morning++) {
      ask(a)
      comesUp()
      served()
      supervisor.clock.advance(hour)
      supervisor.onExited(attempt, 'ended')
      supervisor.clock.advance(day - hour - 4 * second)
    }
    supervisor.told()
    supervisor.clock.advance(-30 * minute)
    supervisor.onQuiet([a])
    expect(supervisor.done()).toEqual([])
    supervisor.clock.advance(25 * minute)
    supervisor.onQuiet([a])
    expect(supervisor.done()).toEqual([`start ${attempt + 1} a ctx=8192 par=4`])
  })

  it('brings back what was pushed out while it was in use, and not what nobody asked for any more', () => {
    ask(a)
    comesUp()
    served()
    ask(b)
    swap()
    served()
    supervisor.onUnload(9, 'b')
    supervisor.onExited(2, 'ended')
    supervisor.told()
    supervisor.onQuiet([a, b])
    expect(supervisor.done()).toEqual(['start 3 a ctx=8192 par=4'])
    supervisor.running(3)
    supervisor.clock.advance(10 * minute)
    supervisor.onExited(3, 'ended')
    supervisor.told()
    supervisor.onQuiet([a, b])
    expect(supervisor.done()).toEqual([])
  })

  it('asked for by others takes free memory only', () => {
    ask(a)
    comesUp()
    served()
    supervisor.told()
    supervisor.onLoad(7, b, anyWish, { ifRoom: true })
    expect(supervisor.done()).toEqual(['refuse 7 overloaded'])
    supervisor.onLoad(8, model('small', 20), anyWish, { ifRoom: true })
    expect(supervisor.done()).toEqual(['start 2 small ctx=8192 par=4'])
  })
})
