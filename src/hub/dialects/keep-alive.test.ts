import { beforeEach, expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { FakeClock } from '../../core/clock.ts'
import { silentLog } from '../../core/log.ts'
import { KeepAlive } from './keep-alive.ts'

const minute = 60_000
let clock: FakeClock
let node: FakeNode
let idleSince: number
let busy: number
let keep: KeepAlive

beforeEach(() => {
  clock = new FakeClock(1_000_000)
  node = new FakeNode('http://127.0.0.1:9', [aModel('tiny')])
  idleSince = clock.now()
  busy = 0
  const state = node.state.bind(node)
  node.state = () => {
    const now = state()
    for (const running of now.running) running.idleS = (clock.now() - idleSince) / 1000
    return now
  }
  keep = new KeepAlive({ nodes: [node], clock, log: silentLog, busy: () => busy })
})
/** Steps short enough that what a touch began can end, as it does on a real machine. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.advance(Math.min(left, 1_000))
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const loaded = () => node.models[0]!.state === 'ready'

test('unloads after so long without use', async () => {
  keep.used('tiny', 5 * minute)
  expect(keep.expiresAt('tiny')).toBe(1_000_000 + 5 * minute)
  await pass(5 * minute - 1)
  expect(loaded()).toBe(true)
  await pass(1)
  expect(loaded()).toBe(false)
  expect(keep.keeps('tiny')).toBe(false)
})

test('0 unloads at once, but never what is answering', async () => {
  busy = 1
  keep.used('tiny', 0)
  await pass(10_000)
  expect(loaded()).toBe(true)
  busy = 0
  await pass(1_000)
  expect(loaded()).toBe(false)
})

test('an answer without a word starts the time anew', async () => {
  keep.used('tiny', 5 * minute)
  await pass(4 * minute)
  keep.used('tiny', undefined)
  await pass(4 * minute)
  expect(loaded()).toBe(true)
  await pass(minute)
  expect(loaded()).toBe(false)
})

test('use by another dialect counts too', async () => {
  keep.used('tiny', 5 * minute)
  await pass(4.5 * minute)
  idleSince = clock.now()
  await pass(4.4 * minute)
  expect(loaded()).toBe(true)
  await pass(2 * minute)
  expect(loaded()).toBe(false)
})

test('for ever touches it each minute, so that the node does not take it for idle', async () => {
  keep.used('tiny', Number.POSITIVE_INFINITY)
  await pass(60 * minute)
  expect(loaded()).toBe(true)
  expect(node.acquired).toBe(60)
  expect(keep.expiresAt('tiny')).toBeNull()
})

test('a model that the node took away is forgotten and not loaded again', async () => {
  keep.used('tiny', Number.POSITIVE_INFINITY)
  node.models[0]!.state = 'disk'
  await pass(60 * minute)
  expect(node.acquired).toBe(0)
  expect(keep.keeps('tiny')).toBe(false)
})
