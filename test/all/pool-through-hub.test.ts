/**
 * Two agents and a hub as real processes on this machine hold one model that each alone is told it cannot, answer the
 * OpenAI client with real engines, lose a worker in the middle of an answer and then a whole machine, and serve again
 * with nobody's help. The model is random; its speed and its failures are real.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding, writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import type { PoolPreview, PoolView } from '../../src/protocol/pools.ts'
import { descendants, eventually, isAlive, type Running, runCli } from '../support/cli.ts'
import { testHome } from '../support/engine-home.ts'
import { ready, TestFleet, type TestHub } from '../support/fleet.ts'

/** 270 MB of weights, 416 MB with cache and buffers; no machine may hold that much. */
const shape = {
  layers: 12,
  embedding: 1024,
  heads: 16,
  kvHeads: 4,
  feedForward: 2816,
  vocab: 1000,
  context: 4096,
}
const budget = { HOLON_MEMORY_BUDGET_MB: '330' }
const model = 'wide'
const question = { model, prompt: 'The machines are', temperature: 0, ...neverEnding(shape) }

const fleet = new TestFleet()
const homes: Record<string, string> = {}
const agents: Record<string, Running> = {}
let hub: TestHub
let client: OpenAI

beforeAll(async () => {
  const home = testHome()
  await llamaServerDriver(home).install({ onProgress: () => undefined, signal: new AbortController().signal })
  home.remove()
  hub = await fleet.hub(fleet.home(), budget)
  client = new OpenAI({ baseURL: `${hub.url}/v1`, apiKey: 'none', maxRetries: 0 })
  for (const name of ['oak', 'elm']) homes[name] = fleet.home()
  const models = join(homes.oak ?? '', 'models')
  mkdirSync(models, { recursive: true })
  writeRandomGguf(join(models, `${model}.gguf`), { ...shape, type: 'F16', seed: 11, name: model })
  for (const name of ['oak', 'elm']) await joinAs(name, ['--token', await hub.token()])
}, 30 * 60_000)
afterAll(() => fleet.end(), 60_000)

async function joinAs(name: string, how: string[]): Promise<void> {
  const env = { HOLON_HOME: homes[name] ?? '', ...budget }
  const running = fleet.start(['join', hub.url, ...how, '--name', name], env)
  await running.until(/Connected to/)
  agents[name] = running
  await ready(hub, name)
}

async function cli<T>(...args: string[]): Promise<{ code: number | null; told: T }> {
  const { code, stdout, stderr } = await runCli([...args, '--json'], hub.env)
  if (stdout.trim() === '') throw new Error(stderr)
  return { code, told: JSON.parse(stdout) as T }
}

const pool = async () => (await cli<PoolView>('pool', 'show', 'big')).told
const served = (service: PoolView['service']) =>
  eventually(`service ${service}`, async () => (await pool()).service === service, 120_000)

/** Processes of llama.cpp below an agent. */
function engines(name: string): number[] {
  return descendants(agents[name]?.child.pid ?? 0).filter((pid) => {
    const command = execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' })
    return /llama-server|ggml-rpc-serve/.test(command)
  })
}

async function ask(maxTokens: number): Promise<{ text: string; node: string | null; route: string | null }> {
  const { data, response } = await client.completions
    .create({ ...question, max_tokens: maxTokens })
    .withResponse()
  const { headers } = response
  return {
    text: data.choices[0]?.text ?? '',
    node: headers.get('x-holon-node'),
    route: headers.get('x-holon-route'),
  }
}

describe('two machines and one model', () => {
  let first: string

  test('the preview says that neither can hold it and both together can', async () => {
    const { code, told } = await cli<PoolPreview>(
      'pool',
      'preview',
      model,
      '--nodes',
      'oak,elm',
      '--context',
      '2048',
    )
    expect(code).toBe(0)
    const best = told.placements.find(({ id }) => id === told.recommended)
    expect(best).toMatchObject({ engine: 'llama-rpc', head: 'oak', modelSource: 'the header of its file' })
    expect(best?.members.reduce((sum, { layers }) => sum + layers, 0)).toBe(shape.layers)
    const alone = told.placements.filter(({ engine }) => engine === 'solo')
    expect(alone.map(({ fits }) => fits)).toEqual([false, false])
  })

  test('create waits until it serves, and the client gets an answer from the pool', async () => {
    const made = await cli<PoolView>(
      ...['pool', 'create', 'big', '--model', model, '--nodes', 'oak,elm', '--context', '2048'],
      ...['--fallback', 'holon-demo', '--wait'],
    )
    expect(made.told.reason).toBeNull()
    expect(made.code).toBe(0)
    expect(made.told).toMatchObject({ service: 'group', engine: 'llama-rpc' })
    const answer = await ask(16)
    expect(answer.node).toBe('big')
    expect(answer.text.length).toBeGreaterThan(0)
    first = answer.text
    expect(engines('oak')).toHaveLength(1)
    expect(engines('elm')).toHaveLength(1)
  }, 180_000)

  test('a worker killed in the middle of an answer: the stream ends with the error, and the pool serves again', async () => {
    const stream = await client.completions.create({
      ...{ ...question, max_tokens: 2000, stream: true },
    })
    const answering = (async () => {
      let begun = false
      for await (const _ of stream) {
        if (begun) continue
        begun = true
        for (const pid of engines('elm')) process.kill(pid, 'SIGKILL')
      }
    })()
    await expect(answering).rejects.toThrow()
    await served('group')
    const again = await ask(16)
    expect(again.node).toBe('big')
    expect(again.text).toBe(first)
  }, 180_000)

  test('a machine that goes away: the fallback answers and says so; when it is back the pool is formed again', async () => {
    const gone = engines('elm')
    agents.elm?.child.kill('SIGKILL')
    await agents.elm?.finished
    await served('fallback')
    const answer = await ask(8)
    expect(answer.route).toContain('its fallback holon-demo answers')
    await eventually('no engine of the lost machine', () => gone.every((pid) => !isAlive(pid)))
    await eventually('no engine of the head', () => engines('oak').length === 0)
    await joinAs('elm', [])
    await served('group')
    expect((await ask(16)).text).toBe(first)
  }, 240_000)

  test('removal leaves no process behind', async () => {
    const { code } = await cli('pool', 'remove', 'big')
    expect(code).toBe(0)
    await eventually('no engine', () => [...engines('oak'), ...engines('elm')].every((pid) => !isAlive(pid)))
    expect((await cli<{ pools: PoolView[] }>('pool', 'list')).told.pools).toEqual([])
  }, 60_000)
})
