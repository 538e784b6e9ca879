/**
 * `holon models pin`, `unpin` and `lanes` as their owner uses them, and after a restart of the hub: real processes, the real
 * database, two machines that both have the model.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { ready, TestFleet, type TestHub, type TestNode } from '../support/fleet.ts'

const fleet = new TestFleet()
let hub: TestHub
let studio: TestNode
/** The name of the hub's own machine. */
let own: string

beforeAll(async () => {
  hub = await fleet.hub(fleet.home('shared', 'trial'))
  own = (await hub.nodes())[0]!.name
  studio = await fleet.node(hub, 'studio', 'shared')
}, 240_000)
afterAll(() => fleet.end(), 60_000)

const holon = (...args: string[]) => runCli(['models', ...args], hub.env)

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await holon(...args)
  expect([code, stderr]).toEqual([0, ''])
  return stdout
}

async function ask(model: string, lane?: string): Promise<Response> {
  const response = await fetch(`${hub.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(lane ? { 'x-holon-lane': lane } : {}) },
    body: JSON.stringify({
      model,
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 2,
      temperature: 0,
    }),
  })
  await response.arrayBuffer()
  return response
}
const nodeFor = async (model: string): Promise<string | null> =>
  (await ask(model)).headers.get('x-holon-node')

interface Where {
  pins: { model: string; to: string[]; away: string[]; background: string[] }[]
  lanes: { kind: string; name: string; lanes: string[] }[]
}
const catalogue = async (): Promise<Where> => {
  const { pins, lanes } = JSON.parse(await done('catalogue', '--json')) as Where
  return { pins, lanes }
}

describe('pins', () => {
  test('hold a model on a node, keep it from one, leave it in the background, and are taken back', async () => {
    expect(await done('pin', 'shared', '--to', 'studio')).toMatch(/pinned[\s\S]*shared\s+studio/)
    expect(await nodeFor('shared')).toBe('studio')
    expect(await done('unpin', 'shared')).toBe('Nothing is pinned, and everything serves all lanes.\n')
    await done('pin', 'shared', '--away', 'studio')
    expect(await nodeFor('shared')).toBe(own)
    await done('unpin', 'shared', '--node', 'studio')
    await done('pin', 'shared', '--background', own)
    expect(await nodeFor('shared')).toBe('studio')
    const { pins } = JSON.parse(await done('pin', 'shared', '--away', 'studio', '--json')) as Where
    expect(pins).toEqual([
      { model: expect.stringContaining('shared'), to: [], away: ['studio'], background: [own] },
    ])
    // In the background, but the only one left.
    expect(await nodeFor('shared')).toBe(own)
    await done('unpin', 'shared')
    expect((await catalogue()).pins).toEqual([])
  })

  test.each([
    [['pin', 'shared'], 2, 'A pin names at least one node.', '`--to NODE`'],
    [['pin', 'shared', '--to', 'nobody'], 1, '"nobody"', 'The nodes here are'],
    [['unpin', 'shared'], 1, '"shared" is not pinned.', '`holon models catalogue`'],
    [['lanes', 'trial', 'fast'], 2, 'There is no lane "fast".', 'The lanes are production'],
    [['lanes', 'nobody', 'research', '--node'], 1, '"nobody"', 'The nodes here are'],
  ])('%j is refused with what to do', async (args, code, said, hint) => {
    const result = await holon(...args)
    expect([result.code, result.stdout]).toEqual([code, ''])
    expect(result.stderr).toContain(said)
    expect(result.stderr).toContain(hint)
    expect((await catalogue()).pins).toEqual([])
  })
})

describe('lanes', () => {
  test('keep a model and a node for some, and are taken back', async () => {
    expect(await done('lanes', 'trial', 'experimental')).toMatch(
      /serves only[\s\S]*trial\s+\S+\s+experimental/,
    )
    expect((await ask('trial')).status).toBe(404)
    expect((await ask('trial', 'experimental')).status).toBe(200)
    await done('lanes', 'studio', 'research,experimental', '--node')
    expect(await nodeFor('shared')).toBe(own)
    const { lanes } = await catalogue()
    expect(lanes.map(({ name, lanes: served }) => [name, served])).toEqual(
      expect.arrayContaining([
        [expect.stringContaining('trial'), ['experimental']],
        ['studio', ['research', 'experimental']],
      ]),
    )
    await done('lanes', 'trial', 'all')
    await done('lanes', 'studio', 'all', '--node')
    expect((await catalogue()).lanes).toEqual([])
    expect((await ask('trial')).status).toBe(200)
  })
})

test('pins and lanes outlive the hub, also one that was killed', async () => {
  await done('pin', 'shared', '--to', 'studio')
  await done('lanes', 'trial', 'experimental')
  const before = await catalogue()
  expect([before.pins.length, before.lanes.length]).toEqual([1, 1])
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    hub.running.child.kill(signal)
    await hub.running.finished
    hub = await fleet.hub(hub.env.HOLON_HOME, { HOLON_PORT: new URL(hub.url).port })
    expect((await ask('trial')).status).toBe(404)
    expect((await ask('trial', 'experimental')).status).toBe(200)
    await ready(hub, 'studio')
    expect(await catalogue()).toEqual(before)
    expect(await nodeFor('shared')).toBe('studio')
  }
}, 240_000)

test('a node that a new hub has not met yet goes by its name, and its pin is taken back by it', async () => {
  await done('lanes', 'trial', 'all')
  await done('lanes', 'studio', 'research', '--node')
  hub.running.child.kill('SIGTERM')
  studio.running.child.kill('SIGTERM')
  await Promise.all([hub.running.finished, studio.running.finished])
  hub = await fleet.hub(hub.env.HOLON_HOME)
  expect(await catalogue()).toEqual({
    pins: [{ model: expect.stringContaining('shared'), to: ['studio'], away: [], background: [] }],
    lanes: [{ kind: 'node', name: 'studio', lanes: ['research'] }],
  })
  await done('lanes', 'studio', 'all', '--node')
  await done('unpin', 'shared', '--node', 'studio')
  expect(await catalogue()).toEqual({ pins: [], lanes: [] })
}, 240_000)
