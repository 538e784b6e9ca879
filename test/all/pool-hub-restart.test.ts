/**
 * The hub is killed while real machines hold a real pool, and another one starts in its place: the pool serves again with
 * nobody's help, and of the group before no process is left on any machine, the hub's own among them.
 */
import { hostname } from 'node:os'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ready } from '../support/fleet.ts'
import { RealPool, untilGone } from '../support/real-pool.ts'

const rig = new RealPool()
let first: string
let before: number[]

const machines = ['oak', 'elm', 'hub']
const engines = () => machines.flatMap((name) => rig.engines(name))

beforeAll(async () => {
  first = await rig.begin()
}, 30 * 60_000)
afterAll(() => rig.end(), 60_000)

beforeEach(async () => {
  await rig.served('group')
  before = engines()
  expect(before).toHaveLength(2)
}, 180_000)

/** One group, another than before, says the same. */
async function servesAgain(): Promise<void> {
  await untilGone(before)
  await rig.served('group')
  expect(await rig.ask()).toEqual({ text: first, node: 'big' })
  expect(engines()).toHaveLength(2)
}

describe.skipIf(process.platform !== 'linux')('a hub that is killed', () => {
  test('in the middle of an answer: its members free themselves, and the next hub forms the pool again', async () => {
    const { broken } = await rig.answering()
    await rig.killHub()
    expect(await broken).toMatch(/Error/)
    // Nobody tells the members; the end of the hub's stream is enough.
    await untilGone(before)
    expect([...rig.engines('oak'), ...rig.engines('elm')]).toEqual([])
    await rig.restartHub()
    await servesAgain()
  }, 300_000)

  test('and is there again at once: nothing of the old group runs beside the new one', async () => {
    await rig.killHub()
    await rig.restartHub()
    await servesAgain()
  }, 300_000)

  test('while a group is being formed: what was begun is gone, and the pool is formed anew', async () => {
    for (const pid of rig.engines('elm')) process.kill(pid, 'SIGKILL')
    await untilGone(before)
    // The head reads the file: a group is half formed.
    while (engines().length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    before = engines()
    await rig.killHub()
    await rig.restartHub()
    await servesAgain()
  }, 300_000)

  test('on a machine that is itself the pool’s head: its engine dies with it, and comes back with it', async () => {
    await rig.cli('pool', 'remove', 'big')
    await untilGone(before)
    rig.giveModel(rig.hub.env.HOLON_HOME ?? '')
    await rig.killHub()
    await rig.restartHub()
    await ready(rig.hub, 'elm')
    const view = await rig.create(`${hostname()},elm`)
    expect(view.members.find(({ rank }) => rank === 0)?.node).toBe(hostname())
    before = engines()
    expect(rig.engines('hub')).toHaveLength(1)
    const { broken } = await rig.answering()
    await rig.killHub()
    expect(await broken).toMatch(/Error/)
    await rig.restartHub()
    await servesAgain()
    expect(rig.engines('hub')).toHaveLength(1)
    await rig.cli('pool', 'remove', 'big')
    await untilGone(engines())
  }, 400_000)
})
