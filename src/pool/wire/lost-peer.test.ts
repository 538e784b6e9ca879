import { expect, test } from 'vitest'
import { goodbye, lostPeer, lostSentence, unreachedSentence } from './lost-peer.ts'

test('a goodbye takes its cause along, and who hears it knows where it began', () => {
  const atHead = lostSentence(2, goodbye('The engine was killed.'))
  expect(atHead).toBe('The connection to member 2 was lost: it ended its part: The engine was killed.')
  expect(lostPeer(atHead)).toBe(2)
  // The other worker hears of it from the head.
  expect(lostPeer(lostSentence(0, goodbye(atHead)))).toBe(2)
  expect(lostPeer(lostSentence(1, goodbye()))).toBe(1)
  expect(lostPeer(unreachedSentence(3, 'The peer at 10.0.0.3:1 cannot be reached.'))).toBe(3)
  expect(lostPeer('The engine was killed.')).toBeNull()
})
