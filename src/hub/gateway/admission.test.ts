import { describe, expect, test } from 'vitest'
import { Admission, laneKey, type Ticket } from './admission.ts'

const lane = laneKey('node', 'model')

function stand(maxWaiting = 512) {
  let now = 0
  const admission = new Admission({ maxWaiting, now: () => now })
  return {
    admission,
    pass: (seconds: number) => {
      now += seconds
    },
    /** Enters and asks for a turn; `order` gets the name when the turn comes. */
    async come(name: string, order: string[], parallel = 1): Promise<Ticket> {
      const ticket = admission.enter(lane)
      const turn = ticket.admit(parallel)
      if (turn === null) order.push(name)
      else turn.then(() => order.push(name))
      return ticket
    },
  }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('admission', () => {
  test('lets as many go as the engine answers at once, the rest in order of arrival', async () => {
    const { come, admission } = stand()
    const order: string[] = []
    const a = await come('a', order, 2)
    const b = await come('b', order, 2)
    const c = await come('c', order, 2)
    const d = await come('d', order, 2)
    expect(order).toEqual(['a', 'b'])
    expect(admission.totals()).toEqual({ inFlight: 2, waiting: 2 })
    expect([c.position(), d.position()]).toEqual([0, 1])
    b.leave()
    a.leave()
    await settled()
    expect(order).toEqual(['a', 'b', 'c', 'd'])
    c.leave()
    d.leave()
    expect(admission.totals()).toEqual({ inFlight: 0, waiting: 0 })
  })

  test('forgets who leaves while waiting, and lets the next one move up', async () => {
    const { come } = stand()
    const order: string[] = []
    const a = await come('a', order)
    const b = await come('b', order)
    const c = await come('c', order)
    b.leave()
    b.leave()
    expect(c.position()).toBe(0)
    a.leave()
    await settled()
    expect(order.filter((name) => name !== 'b')).toEqual(['a', 'c'])
  })

  test('refuses beyond its bound and says when to come back, from how long answers take', async () => {
    const { come, pass, admission } = stand(2)
    const order: string[] = []
    const a = await come('a', order)
    pass(10)
    a.leave()
    await come('b', order)
    await come('c', order)
    await come('d', order)
    expect(() => admission.enter(lane)).toThrow(
      expect.objectContaining({ code: 'overloaded', retryAfterS: 20 }),
    )
    expect(() => admission.enter(laneKey('node', 'other'))).not.toThrow()
  })

  test('counts those who have not asked for their turn yet, as during a load', () => {
    const { admission } = stand(2)
    admission.enter(lane)
    admission.enter(lane)
    expect(admission.busy('node', 'model')).toBe(2)
    expect(() => admission.enter(lane)).toThrow(/already waiting/)
  })

  test('keeps the place of one who asks again after its engine died', async () => {
    const { come } = stand()
    const order: string[] = []
    const a = await come('a', order)
    await come('b', order)
    expect(a.admit(1)).toBeNull()
    expect(order).toEqual(['a'])
  })
})
