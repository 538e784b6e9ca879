/** Against the fake vLLM as a program of several processes (test/fakes/fake-vllm.mjs), with its documented faults. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../../../test/support/cli.ts'
import { groupSpecs, memberHost, type PoolGroup, startGroup } from '../../../test/support/pool-group.ts'
import { writeTinySafetensors } from '../../../test/support/tiny-safetensors.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost, PoolPlan } from '../pool-engine.ts'
import { vllmPool } from './index.ts'

const ray = fileURLToPath(new URL('../../../test/fakes/fake-ray.mjs', import.meta.url))
const program = fileURLToPath(new URL('../../../test/fakes/fake-vllm.mjs', import.meta.url))
let root: string
let model: string
let host: MemberHost
const ends: (() => Promise<void>)[] = []

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holon-pool-vllm-'))
  model = join(root, 'tiny')
  writeTinySafetensors(model)
  const bin = join(root, 'engines', 'vllm-fake', 'bin')
  mkdirSync(bin, { recursive: true })
  // The folder's name stands in every command line, so that what is left over can be found.
  writeFileSync(join(bin, 'vllm'), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, {
    mode: 0o755,
  })
  host = memberHost(root)
})
afterEach(async () => {
  for (const name of ['FAULT', 'VERSION']) delete process.env[`FAKE_VLLM_${name}`]
  for (const end of ends.splice(0).reverse()) await end()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

async function plan(over: Partial<PoolPlan> = {}): Promise<PoolPlan> {
  const facts = await vllmPool.inspect(host, model)
  const member = (node: string) => ({ node, layers: 2, share: 0.5, limitBytes: 1e9, facts })
  const members = [member('a'), member('b')]
  return { model, strategy: 'tensor', contextTokens: 4096, parallel: 8, members, ...over }
}

async function start(mode: 'encrypted' | 'isolated' = 'isolated'): Promise<PoolGroup> {
  const settings = vllmPool.layout(await plan())
  const specs = groupSpecs(vllmPool, { model, settings, hosts: ['127.0.0.1', '127.0.0.1'], mode })
  const group = await startGroup(vllmPool, specs, () => host)
  ends.push(group.stop)
  return group
}

/** Processes of this test's group that still run. */
function left(): string[] {
  const all = execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' })
  return all.split('\n').filter((line) => line.includes(root))
}

/** What was killed may be listed for a moment more. */
const nothingLeft = (): Promise<void> => eventually('every process to end', () => left().length === 0)

const ask = (content: string) => ({ messages: [{ role: 'user', content }] })

test('brings version and model', async () => {
  expect(await vllmPool.inspect(host, model)).toMatchObject({
    whyNot: null,
    build: 'vllm 0.18.1',
    modelPath: model,
    cut: { layers: 2, heads: 4, kvHeads: 4 },
  })
})

test('serves once the head has found its followers and a token came out, several answers at once', async () => {
  const group = await start()
  const answers = await Promise.all([group.chat(ask('Hello')), group.chat({ ...ask('Hello'), stream: true })])
  expect(await answers[0]!.text()).toContain('word0 word1')
  expect(await answers[1]!.text()).toContain('[DONE]')
  await group.stop()
  await nothingLeft()
})

test('an engine’s process that outlives its server is killed with the group', async () => {
  process.env.FAKE_VLLM_FAULT = 'core-outlives'
  const group = await start()
  expect(left().filter((line) => line.includes('EngineCore'))).toHaveLength(2)
  await group.stop()
  await nothingLeft()
})

describe('by Ray', () => {
  beforeEach(() => {
    process.env.FAKE_VLLM_VERSION = '0.11.0'
    writeFileSync(
      join(root, 'engines', 'vllm-fake', 'bin', 'ray'),
      `#!/bin/sh\nexec "${process.execPath}" "${ray}" "$@"\n`,
      { mode: 0o755 },
    )
  })

  test('its version is part of the build, and without it an old vLLM cannot take part', async () => {
    expect((await vllmPool.inspect(host, model)).build).toBe('vllm 0.11.0 with ray 2.49.1')
    rmSync(join(root, 'engines', 'vllm-fake', 'bin', 'ray'))
    expect((await vllmPool.inspect(host, model)).whyNot).toMatch(/0\.11\.0 needs Ray/)
  })

  test('vLLM serves once Ray’s nodes are there, and nothing is left at the end', async () => {
    const group = await start()
    expect(await (await group.chat(ask('Hello'))).text()).toContain('word0 word1')
    await group.stop()
    await nothingLeft()
  })

  test('a node that leaves ends the group', async () => {
    const group = await start()
    await group.parts[1]?.stop()
    expect(await group.over).toMatch(/ActorDiedError|lost|ended/)
    await nothingLeft()
  })
})

test('the engine’s death ends the group, its processes and the answer', async () => {
  const group = await start()
  expect((await group.chat(ask('fault:engine-dies'))).status).toBe(500)
  // Whose end is seen first is chance: the head's, or the follower's that went with it.
  expect(await group.over).toMatch(/EngineDeadError|engine is dead|500|vLLM on member 1 ended/)
  await nothingLeft()
})

test('a follower that outlives its head and ignores SIGTERM is killed all the same', async () => {
  process.env.FAKE_VLLM_FAULT = 'outlives'
  const group = await start()
  await group.chat(ask('fault:engine-dies'))
  await group.over
  await nothingLeft()
})

test('what the head says when it cannot load is told', async () => {
  process.env.FAKE_VLLM_FAULT = 'out-of-memory'
  await expect(start()).rejects.toMatchObject({
    code: 'model_load_failed',
    message: expect.stringContaining('CUDA out of memory'),
  })
  await nothingLeft()
})

test('a core that is dead behind a well health page is not taken for ready', async () => {
  process.env.FAKE_VLLM_FAULT = 'silent-death'
  await expect(start()).rejects.toMatchObject({ message: expect.stringMatching(/cannot answer/) })
  await nothingLeft()
})

test('inside the encrypted wire it is refused, with the reason', async () => {
  await expect(start('encrypted')).rejects.toMatchObject({
    code: 'pool_impossible',
    message: expect.stringContaining('NCCL and gloo'),
    hint: expect.stringContaining('isolated'),
  })
})

describe('the layout', () => {
  const with_ = async (
    change: (facts: MemberFacts, rank: number) => MemberFacts,
    over: Partial<PoolPlan> = {},
  ) => {
    const base = await plan(over)
    return {
      ...base,
      members: base.members.map((each, rank) => ({ ...each, facts: change(each.facts, rank) })),
    }
  }
  const cards = (count: number) => Array.from({ length: count }, (_, at) => `cuda${at}`)

  test('shares layers among all cards, or among those of one member with a stage for each', async () => {
    const heads = { layers: 2, heads: 8, kvHeads: 8, strategies: ['pipeline' as const, 'tensor' as const] }
    const two = (facts: MemberFacts) => ({ ...facts, devices: cards(2), cut: heads })
    expect(vllmPool.layout(await with_(two))[1]).toMatchObject({ launcher: 'own', tensor: 4, pipeline: 1 })
    const staged = await with_(two, { strategy: 'pipeline' })
    expect(vllmPool.layout(staged)[0]).toMatchObject({
      tensor: 2,
      pipeline: 2,
      parallel: 8,
      contextTokens: 4096,
    })
  })

  test('takes Ray for versions that need it', async () => {
    const older = await with_((facts) => ({ ...facts, build: 'vllm 0.11.0' }))
    expect(vllmPool.layout(older)[0]).toMatchObject({ launcher: 'ray' })
  })

  test('refuses unequal cards, and a model that nobody has', async () => {
    const unequal = await with_((facts, rank) => ({ ...facts, devices: cards(rank + 1) }))
    expect(() => vllmPool.layout(unequal)).toThrow(/a has 1 and b 2/)
    const without = await with_((facts) => ({ ...facts, modelPath: null }))
    expect(() => vllmPool.layout(without)).toThrow(/None of the members has/)
  })
})
