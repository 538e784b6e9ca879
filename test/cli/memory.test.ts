/** What an owner does with models and tokens on a hub that runs: real processes, the demonstration model under other names. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { TestFleet, type TestHub } from '../support/fleet.ts'

const fleet = new TestFleet()
let hub: TestHub
beforeAll(async () => {
  hub = await fleet.hub(fleet.home('shared', 'spare'))
}, 120_000)
afterAll(() => fleet.end(), 60_000)

const holon = (...args: string[]) => runCli(args, hub.env)

test('a model that is not in memory can be deleted while the hub runs', async () => {
  const removed = await holon('rm', 'spare')
  expect([removed.code, removed.stderr]).toEqual([0, ''])
  expect(removed.stdout).toMatch(/^spare is deleted; /)
})

test('a load by another name of the model tells of the model that was loaded', async () => {
  const loaded = JSON.parse((await holon('load', 'SHARED', '--json')).stdout) as { model: { id: string } }
  expect(loaded.model.id).toBe('shared')
  expect((await holon('unload', 'SHARED')).stdout).toBe('SHARED is no longer in memory.\n')
  expect((await holon('unload', 'shared')).stderr).toContain('"shared" is not in memory')
})

test('a wrong number of minutes is used wrongly, and no bug of Holon', async () => {
  const { code, stderr } = await holon('nodes', 'token', '--minutes', 'soon')
  expect(code).toBe(2)
  expect(stderr).toContain('--minutes is "soon"; it must be a whole number from 1 to 10080.')
  expect(stderr).not.toContain('bug')
})
