import { expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { Ticket } from './admission.ts'
import type { Exchange } from './exchange.ts'
import { Wait } from './hold-engine.ts'
import { WaitingRoom } from './waiting-room.ts'

/** A node whose load says where it is and never ends. */
const slow = (percent: number): NodeHandle =>
  ({
    acquire: (_: string, { onProgress }: Parameters<NodeHandle['acquire']>[1]) => {
      onProgress?.({ phase: 'reading weights', percent, etaS: null })
      return new Promise(() => undefined)
    },
  }) as unknown as NodeHandle

test('a stream that goes on at another node is told so at once, and kept alive there too', () => {
  const clock = new FakeClock()
  const comments: string[] = []
  const exchange = {
    streaming: true,
    deadlineMs: null,
    onGone: () => undefined,
    comment: (words: string) => comments.push(words),
  } as unknown as Exchange
  const patience = { streamHeadMs: 1_000, coldMs: 20_000, queueMs: 900_000 }
  const wait = new Wait(exchange, true, {} as Ticket, new WaitingRoom(clock), patience)
  void wait.hold(slow(80), 'm')
  clock.advance(60_000)
  expect(comments.length).toBeGreaterThan(15)
  comments.length = 0
  void wait.hold(slow(10), 'm')
  clock.advance(20_000)
  expect(comments[0]).toBe('loading 10 % (reading weights)')
  expect(comments.length).toBeGreaterThan(5)
  wait.over()
})
