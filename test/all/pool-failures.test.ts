/**
 * What breaks in a real pool, and what comes after: a member's engine that is stopped, hangs or dies, the head's and a
 * worker's; a whole machine that dies, or sleeps for a while. Each time the answer under way ends with an error, the group
 * is ended whole, and the pool serves again with nobody's help.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually, isAlive } from '../support/cli.ts'
import { freeze, whyNoFreezer } from '../support/freezer.ts'
import { RealPool, untilGone } from '../support/real-pool.ts'

const rig = new RealPool({ HOLON_POOL_HANG_S: '6' })
let first: string
const thaws: (() => void)[] = []
let before: number[]

const head = () => rig.engines('oak', /^llama-server$/)
const worker = () => rig.engines('elm', /^ggml-rpc-server$/)
const all = () => [...rig.engines('oak'), ...rig.engines('elm')]

beforeAll(async () => {
  first = await rig.begin()
}, 30 * 60_000)
afterAll(() => rig.end(), 60_000)

beforeEach(async () => {
  // What went before is forgiven: after so many failures a member would be left out.
  await rig.cli('pool', 'retry', 'big')
  await rig.served('group')
  before = all()
  expect(before).toHaveLength(2)
}, 180_000)
afterEach(() => {
  for (const thaw of thaws.splice(0)) thaw()
})

/** Another group than before serves, says the same, and of the one before no process is left. */
async function servesAgain(): Promise<void> {
  await untilGone(before)
  await rig.served('group')
  expect(await rig.ask()).toEqual({ text: first, node: 'big' })
  expect(head()).toHaveLength(1)
  expect(worker()).toHaveLength(1)
  expect(all().filter((pid) => before.includes(pid))).toEqual([])
}

/** Why its group left, last. */
const whyItLeft = async (): Promise<string> =>
  (await rig.events()).findLast(({ type }) => type === 'pool.left')?.why ?? ''

describe.skipIf(process.platform !== 'linux')('an engine', () => {
  test.each([
    ['a worker', worker],
    ['the head', head],
  ])(
    'of %s that is stopped (SIGSTOP) in an answer is noticed, killed and replaced',
    async (_, victims) => {
      const { broken } = await rig.answering()
      for (const pid of victims()) process.kill(pid, 'SIGSTOP')
      expect(await broken).toMatch(/Error/)
      await servesAgain()
      expect(await whyItLeft()).toMatch(/was stopped \(SIGSTOP/)
    },
    240_000,
  )

  test.skipIf(whyNoFreezer() !== null).each([
    ['a worker', worker],
    ['the head', head],
  ])(
    'of %s that hangs alive in an answer ends the group, and it is formed anew',
    async (_, victims) => {
      const { broken } = await rig.answering()
      for (const pid of victims()) thaws.push(freeze(pid))
      // It lives, and nothing of it shows: only that nothing moves.
      expect(victims().every(isAlive)).toBe(true)
      expect(await broken).toMatch(/Error/)
      await servesAgain()
      expect(await whyItLeft()).toMatch(/hangs: no answer has got on for \d+ s/)
    },
    240_000,
  )

  test('of the head that dies in an answer takes nobody along but the group', async () => {
    const { broken } = await rig.answering()
    for (const pid of head()) process.kill(pid, 'SIGKILL')
    expect(await broken).toMatch(/Error/)
    await servesAgain()
    expect(await whyItLeft()).toContain('was killed')
  }, 240_000)
})

describe.skipIf(process.platform !== 'linux')('a machine', () => {
  test.each(['oak', 'elm'])(
    '%s that dies whole in an answer leaves no process anywhere; it comes back, and the pool with it, once',
    async (name) => {
      const began = (await rig.events()).length
      const { broken } = await rig.answering()
      rig.agents[name]?.child.kill('SIGKILL')
      await rig.agents[name]?.finished
      expect(await broken).toMatch(/Error/)
      await untilGone(before)
      await eventually('the pool to be down', async () => (await rig.pool()).phase === 'resting')
      expect((await rig.pool()).reason).toMatch(/oak|elm/)
      await expect(rig.ask()).rejects.toThrow(/The pool big is down/)
      await rig.join(name)
      await servesAgain()
      // Left once and ready once: nothing between.
      expect((await rig.events()).slice(began).map(({ type }) => type)).toEqual(['pool.left', 'pool.ready'])
    },
    300_000,
  )

  test('that sleeps for a while, as a laptop with its lid closed, is done without and taken back', async () => {
    const { broken } = await rig.answering()
    const { pid = 0 } = rig.agents.elm?.child ?? {}
    const asleep = [pid, ...worker()]
    for (const each of asleep) process.kill(each, 'SIGSTOP')
    try {
      expect(await broken).toMatch(/Error/)
      await eventually('the pool to be down', async () => (await rig.pool()).phase === 'resting', 60_000)
      await untilGone(before.filter((each) => !asleep.includes(each)))
    } finally {
      for (const each of asleep) process.kill(each, 'SIGCONT')
    }
    await servesAgain()
  }, 300_000)
})

test('when the pool is removed nothing of it is left', async () => {
  await rig.cli('pool', 'remove', 'big')
  await untilGone(before)
  expect(all()).toEqual([])
})
