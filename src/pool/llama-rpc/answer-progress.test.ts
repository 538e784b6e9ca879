/** The head's word is a real page over HTTP; only the time is a fake one. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AnswerProgress } from './answer-progress.ts'

let server: Server
let slots: object[] | 'no answer' = []
let bytes = 0
let now = 0
let progress: AnswerProgress

beforeEach(async () => {
  server = createServer((_, response) => {
    if (slots === 'no answer') response.destroy()
    else response.end(JSON.stringify(slots))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  bytes = 0
  now = 0
  progress = new AnswerProgress({ origin, headers: {} }, () => bytes, { now: () => now })
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const busy = (decoded: number) => [{ id: 0, is_processing: true, next_token: [{ n_decoded: decoded }] }]

async function lookAt(seconds: number): Promise<string | null> {
  now = seconds * 1000
  return progress.look()
}

test('without an answer under way nothing is expected to move', async () => {
  expect(await lookAt(0)).toBeNull()
  expect(await lookAt(100_000)).toBeNull()
})

test('an answer whose wire is still and whose engine cannot be asked hangs, after 150 s', async () => {
  slots = 'no answer'
  progress.begin()
  expect(await lookAt(1)).toBeNull()
  expect(await lookAt(150)).toBeNull()
  expect(await lookAt(151)).toBe('The pool hangs: no answer has got on for 150 s.')
})

test('bytes on the wire are work, however long there is no token', async () => {
  slots = 'no answer'
  progress.begin()
  for (let seconds = 0; seconds < 1_000; seconds += 100) {
    bytes += 1
    expect(await lookAt(seconds)).toBeNull()
  }
})

test('on a link where the wire carries nothing, tokens are work, and their absence is a hang', async () => {
  progress.begin()
  for (let seconds = 0; seconds <= 1_000; seconds += 100) {
    slots = busy(seconds)
    expect(await lookAt(seconds)).toBeNull()
  }
  expect(await lookAt(1_151)).toMatch(/^The pool hangs: /)
})

test('an engine without a busy slot has nothing to do: its caller reads slowly', async () => {
  slots = [{ id: 0, is_processing: false }]
  progress.begin()
  for (let seconds = 0; seconds < 1_000; seconds += 100) expect(await lookAt(seconds)).toBeNull()
})

test('the time may be another, and counts from the last movement', async () => {
  slots = 'no answer'
  const { port } = server.address() as AddressInfo
  progress = new AnswerProgress({ origin: `http://127.0.0.1:${port}`, headers: {} }, () => bytes, {
    hangMs: 6_000,
    now: () => now,
  })
  progress.begin()
  expect(await lookAt(0)).toBeNull()
  expect(await lookAt(5)).toBeNull()
  bytes = 1
  expect(await lookAt(5.9)).toBeNull()
  expect(await lookAt(11)).toBeNull()
  expect(await lookAt(12)).toBe('The pool hangs: no answer has got on for 6 s.')
  progress.end()
  expect(await lookAt(100)).toBeNull()
})
