import { describe, expect, it } from 'vitest'
import { findRoom, type Holder } from './find-room.ts'

const holder = (model: string, reservedBytes: number, more: Partial<Holder> = {}): Holder => ({
  ...{ model, reservedBytes, use: 'idle', rank: 0, cost: 1, usedAt: 0, staysUntil: 0 },
  ...more,
})

describe('findRoom', () => {
  it('lets those leave that are missed least for the memory they take', () => {
    const holders = [holder('hot', 40, { cost: 90 }), holder('cold', 40, { cost: 3, usedAt: 9 })]
    expect(findRoom(50, 100, holders, 0)).toEqual({ kind: 'soon', leave: ['cold'] })
  })

  it('lets nothing leave that is not needed after all', () => {
    const holders = [holder('crumb', 5, { cost: 0 }), holder('slice', 50, { cost: 10 })]
    expect(findRoom(80, 100, holders, 0)).toEqual({ kind: 'soon', leave: ['slice'] })
  })

  it('asks those last that are kept', () => {
    const holders = [holder('kept', 40, { rank: 2, cost: 0 }), holder('hot', 40, { cost: 90 })]
    expect(findRoom(50, 100, holders, 0)).toEqual({ kind: 'soon', leave: ['hot'] })
    expect(findRoom(90, 100, holders, 0)).toEqual({ kind: 'soon', leave: ['hot', 'kept'] })
  })

  it('waits for one that was brought back a moment ago, and not when others suffice', () => {
    const back = holder('back', 60, { staysUntil: 7000 })
    expect(findRoom(80, 100, [back], 0)).toEqual({ kind: 'later', atMs: 7000 })
    expect(findRoom(80, 100, [back], 7000)).toEqual({ kind: 'soon', leave: ['back'] })
    expect(findRoom(40, 100, [back, holder('cold', 40, { cost: 50 })], 0)).toEqual({
      kind: 'soon',
      leave: ['cold'],
    })
  })

  it('names those whose answers must end, when nothing else is enough; never one that is being loaded', () => {
    const busy = holder('busy', 60, { use: 'busy' })
    expect(findRoom(80, 100, [busy, holder('idle', 20)], 0)).toEqual({ kind: 'busy', end: ['busy'] })
    const starting = holder('starting', 60, { use: 'starting' })
    expect(findRoom(80, 100, [starting], 0)).toEqual({ kind: 'busy', end: [] })
  })

  it('asks nobody while enough is being freed', () => {
    const going = holder('going', 60, { use: 'going' })
    expect(findRoom(80, 100, [going, holder('idle', 30)], 0)).toEqual({ kind: 'soon', leave: ['idle'] })
    expect(findRoom(60, 100, [going, holder('idle', 30)], 0)).toEqual({ kind: 'soon', leave: [] })
  })
})
