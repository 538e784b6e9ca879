/**
 * Two machines on a switch, with disks of their own, hold one model in MLX that each alone is told it cannot: through
 * the hub, from the command that makes the pool to the answer that the OpenAI client reads. Only one has the files. A
 * member is lost in the middle of an answer, comes back, and the pool serves again with nobody's help. The model is
 * random; its speed and its failures are real.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNamespaces } from '../../src/bench/lab/namespaces.ts'
import type { PoolPreview } from '../../src/protocol/pools.ts'
import { eventually, isAlive } from '../support/cli.ts'
import { FleetLan } from '../support/fleet-lan.ts'
import { type Answer, askOn, poolOn, processesOn, questionOn } from '../support/pool-on-lan.ts'
import { mlxPrograms } from './mlx-venv.ts'

const missing = whyNoNamespaces()
const model = 'tiny-mlx'
/** Hidden size, layers, heads, feed-forward: 206 MB of weights in 32 bits, too much for one machine of this budget; a half fits. */
const shape = ['1024', '4', '16', '2816']
const budgetMb = '280'
const names = ['oak', 'elm']
const homes: Record<string, string> = {}
let net: FleetLan
let modelOf: (name: string) => string

const pool = () => poolOn(net, 'big')
const ask = () => askOn(net, model)
/** Ranks of MLX below an agent; the guard's own line begins with node. */
const ranks = (name: string) => processesOn(net, name, /^\S*python\S* -c .*holon: joined/s)

async function start(name: string, args: string[] = []): Promise<void> {
  const env = { HOLON_MEMORY_BUDGET_MB: budgetMb }
  const without = name === 'oak' ? undefined : modelOf('oak')
  await net.join(name, { args, env, home: homes[name] ?? '', without }).until(/Connected to/)
  await net.untilReady(name)
}

async function owner<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await net.owner([...args, '--json'])
  if (code !== 0) throw new Error(`${stdout}\n${stderr}`)
  return JSON.parse(stdout) as T
}

describe.skipIf(missing !== null)(`an MLX pool of two machines${missing ? ` (${missing})` : ''}`, () => {
  let first: Answer

  beforeAll(async () => {
    const programs = await mlxPrograms()
    net = new FleetLan('10.215.9')
    await net.up()
    for (const name of names) homes[name] = net.fleet.home()
    modelOf = (name) => join(homes[name] ?? '', 'models', model)
    mkdirSync(join(homes.oak ?? '', 'models'), { recursive: true })
    const maker = fileURLToPath(new URL('../fakes/tiny-mlx-model.py', import.meta.url))
    await promisify(execFile)(join(programs, 'python'), [maker, modelOf('oak'), ...shape])
    for (const name of names) await start(name, ['--token', await net.token()])
  }, 30 * 60_000)
  afterAll(async () => {
    await net?.end()
  }, 60_000)

  test('each alone is told that it cannot, and both together that they can', async () => {
    const { placements, recommended } = await owner<PoolPreview>(
      ...['pool', 'preview', model, '--engine', 'mlx', '--nodes', names.join(','), '--context', '1024'],
    )
    const alone = placements.filter(({ engine }) => engine === 'solo')
    expect(alone.map(({ fits }) => fits)).toEqual([false, false])
    for (const { whyNot } of alone) expect(whyNot).toMatch(/short.*do not fit/)
    expect(placements.find(({ id }) => id === recommended)).toMatchObject({
      engine: 'mlx',
      strategy: 'tensor',
      head: 'oak',
      modelSource: 'the header of its file',
    })
  }, 120_000)

  test('the files are brought to the one without, and the client is answered over the encrypted wire', async () => {
    expect(existsSync(modelOf('elm'))).toBe(false)
    await owner(
      ...['pool', 'create', 'big', '--model', model, '--nodes', names.join(','), '--engine', 'mlx'],
      ...['--context', '1024', '--wait'],
    )
    // Copied, not linked: the two have different disks.
    const weights = (name: string) => statSync(join(modelOf(name), 'model.safetensors'))
    expect(weights('elm').size).toBe(weights('oak').size)
    expect(weights('elm').ino).not.toBe(weights('oak').ino)
    const view = await pool()
    expect(view).toMatchObject({ service: 'group', engine: 'mlx', reason: null })
    expect(view?.members.map(({ state }) => state)).toEqual(['in', 'in'])
    expect(view?.members.every(({ wire }) => wire === null || wire === 'encrypted')).toBe(true)
    expect(view?.members.some(({ wire }) => wire === 'encrypted')).toBe(true)
    first = await ask()
    expect(first).toMatchObject({ error: null, node: 'big' })
    expect(first.text.length).toBeGreaterThan(0)
    for (const name of names) expect(ranks(name)).toHaveLength(1)
  }, 300_000)

  test('a rank is killed in the middle of an answer: the client is told, and the pool serves again by itself', async () => {
    const before = names.flatMap(ranks)
    const answering = questionOn(net, model, 1_500)
    await answering.until('begun')
    process.kill(ranks('elm')[0] ?? 0, 'SIGKILL')
    expect(((await answering.answer) as Answer).error).toMatch(/The engine stopped while answering/)
    await eventually('the pool to answer again', async () => (await ask()).error === null, 120_000)
    expect(await ask()).toEqual(first)
    expect(before.filter(isAlive)).toEqual([])
  }, 300_000)

  test('a whole machine goes in the middle of an answer and comes back: the pool is formed again with it', async () => {
    const before = names.flatMap(ranks)
    expect(before).toHaveLength(2)
    const answering = questionOn(net, model, 1_500)
    await answering.until('begun')
    net.agents.elm?.child.kill('SIGKILL')
    await net.agents.elm?.finished
    expect(((await answering.answer) as Answer).error).toMatch(/The engine stopped while answering/)
    await eventually('nothing of it to be left', () => before.every((pid) => !isAlive(pid)), 60_000)
    // The one that is left says why it does not answer.
    await eventually('the pool to say that it is down', async () => (await pool())?.service === 'none')
    expect((await ask()).error).toMatch(/The pool big is down: .*(elm|oak)/)
    await start('elm')
    await eventually('the pool to answer again', async () => (await ask()).error === null, 180_000)
    expect(await ask()).toEqual(first)
  }, 400_000)

  test('when the pool is removed nothing of it is left on either machine', async () => {
    const before = names.flatMap(ranks)
    expect(before).toHaveLength(2)
    await owner('pool', 'remove', 'big')
    await eventually('every rank to end', () => before.every((pid) => !isAlive(pid)), 60_000)
  }, 120_000)
})
