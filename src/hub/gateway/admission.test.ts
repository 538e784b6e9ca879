import { describe, expect, test } from 'vitest'
import type { Lane } from '../../protocol/lane.ts'
import { Admission, lineKey, type Ticket } from './admission.ts'

const line = lineKey('node', 'model')

function stand(maxWaiting = 512) {
  let now = 0
  const admission = new Admission({ maxWaiting, now: () => now })
  return {
    admission,
    pass: (seconds: number) => {
      now += seconds
    },
    /** Enters and asks for a turn; `order` gets the name when the turn comes. */
    come(name: string, order: string[], parallel = 1, caller?: string, lane?: Lane): Ticket {
      const ticket = admission.enter(line, caller, lane)
      const turn = ticket.admit(parallel)
      if (turn === null) order.push(name)
      else turn.then(() => order.push(name))
      return ticket
    },
  }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('admission', () => {
  test('lets as many go as the engine answers at once, the rest of one caller in order of arrival', async () => {
    const { come, admission } = stand()
    const order: string[] = []
    const a = come('a', order, 2)
    const b = come('b', order, 2)
    const c = come('c', order, 2)
    const d = come('d', order, 2)
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
    expect(admission.view()).toEqual([])
  })

  test('forgets who leaves while waiting, and lets the next one move up', async () => {
    const { come } = stand()
    const order: string[] = []
    const a = come('a', order)
    const b = come('b', order)
    const c = come('c', order)
    b.leave()
    b.leave()
    expect(c.position()).toBe(0)
    a.leave()
    await settled()
    expect(order.filter((name) => name !== 'b')).toEqual(['a', 'c'])
  })

  test('refuses beyond its bound and says when to come back, from how long answers take', () => {
    const { come, pass, admission } = stand(2)
    const order: string[] = []
    const a = come('a', order)
    pass(10)
    a.leave()
    come('b', order)
    come('c', order)
    come('d', order)
    expect(() => admission.enter(line)).toThrow(
      expect.objectContaining({
        code: 'overloaded',
        retryAfterS: 20,
        headers: { 'x-holon-queue-waiting': 2, 'x-holon-queue-eta': 20 },
      }),
    )
    expect(() => admission.enter(lineKey('node', 'other'))).not.toThrow()
  })

  test('one caller who fills the line leaves room for others, who get fewer places the more of them there are', () => {
    const { admission } = stand(500)
    const fill = (caller: string) => {
      let places = 0
      try {
        for (;;) {
          admission.enter(line, caller)
          places++
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'overloaded' })
      }
      return places
    }
    expect(fill('greedy')).toBe(500)
    expect(fill('second')).toBe(250)
    expect(fill('third')).toBe(125)
    expect(() => admission.enter(line, 'modest')).not.toThrow()
  })

  test('counts those who have not asked for their turn yet, as during a load', () => {
    const { admission } = stand(2)
    admission.enter(line)
    admission.enter(line)
    expect(admission.busy('node', 'model')).toBe(2)
    expect(() => admission.enter(line)).toThrow(/already waiting/)
  })

  test('keeps the place of one who asks again after its engine died', () => {
    const { come } = stand()
    const order: string[] = []
    const a = come('a', order)
    come('b', order)
    expect(a.admit(1)).toBeNull()
    expect(order).toEqual(['a'])
  })

  test('says who waits where, and about how long', async () => {
    const { come, pass, admission } = stand()
    const order: string[] = []
    const first = come('x', order, 1, 'ann')
    pass(8)
    first.leave()
    come('a', order, 1, 'ann')
    const b = come('b', order, 1, 'ann')
    const c = come('c', order, 1, 'ben')
    expect([b.position(), c.position()]).toEqual([1, 0])
    expect([b.etaS(), c.etaS()]).toEqual([16, 8])
    expect(admission.view()).toEqual([
      {
        node: 'node',
        model: 'model',
        parallel: 1,
        inFlight: 1,
        waiting: 2,
        serviceS: 8,
        etaS: 24,
        parts: [
          { caller: 'ann', lane: 'production', inFlight: 1, waiting: 1 },
          { caller: 'ben', lane: 'production', inFlight: 0, waiting: 1 },
        ],
      },
    ])
  })
})
