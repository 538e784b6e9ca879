/** A real ring of MLX: two ranks of mlx_lm.server on this machine, over the encrypted wire and over an isolated link. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mlxPool } from '../../src/pool/mlx/index.ts'
import { freePort } from '../../src/pool/wire/listen.ts'
import type { LoadProgress } from '../../src/protocol/model.ts'
import type { OpenPart, PartSpec } from '../../src/protocol/pool.ts'
import { type Program, startProgram } from '../engines/attached-stand.ts'
import { eventually } from '../support/cli.ts'
import { groupSpecs, memberHost, type PoolGroup, startGroup } from '../support/pool-group.ts'
import { mlxPrograms } from './mlx-venv.ts'

const folder = mkdtempSync(join(tmpdir(), 'holon-pool-mlx-'))
const model = join(folder, 'tiny-mlx')
const host = memberHost(join(folder, 'home'))
const open: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close()
  rmSync(folder, { recursive: true, force: true })
})
beforeAll(async () => {
  const programs = await mlxPrograms()
  const maker = fileURLToPath(new URL('../fakes/tiny-mlx-model.py', import.meta.url))
  await promisify(execFile)(join(programs, 'python'), [maker, model])
}, 20 * 60_000)

const messages = [{ role: 'user', content: 'Tell me about the sea.' }]
const greedy = { messages, max_tokens: 24, temperature: 0 }

async function textOf(response: Response): Promise<string> {
  const answer = (await response.json()) as { choices: { message: { content: string } }[] }
  return answer.choices[0]?.message.content ?? ''
}

async function specs(mode: 'encrypted' | 'isolated' = 'encrypted'): Promise<PartSpec[]> {
  const facts = await mlxPool.inspect(host, model)
  const member = (node: string) => ({ node, layers: 1, share: 0.5, limitBytes: 1e9, facts })
  const members = [member('a'), member('b')]
  const settings = mlxPool.layout({ model, strategy: 'tensor', contextTokens: 2048, parallel: 1, members })
  return groupSpecs(mlxPool, { model, settings, hosts: ['127.0.0.1', '127.0.0.1'], mode })
}

async function group(mode?: 'encrypted' | 'isolated'): Promise<PoolGroup> {
  const started = await startGroup(mlxPool, await specs(mode), () => host)
  open.push(started.stop)
  return started
}

/** Pids of the ranks of this test's groups that still run, by rank. */
async function ranksAlive(): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,args='])
  const mine = stdout.split('\n').filter((line) => line.includes(model) && line.includes('--port'))
  // The guard's own line holds the same words.
  return mine.filter((line) => !line.includes('guard.js')).map((line) => Number(line.trim().split(/\s+/)[0]))
}

/** A process that was killed may be listed for a moment more. */
const nothingLeft = (): Promise<void> =>
  eventually('every rank to end', async () => (await ranksAlive()).length === 0)

async function rankOf(pid: number): Promise<string> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
  return /(?:^|\0)MLX_RANK=(\d)/.exec(environment)?.[1] ?? ''
}

async function pidOfRank(rank: string): Promise<number> {
  for (const pid of await ranksAlive()) if ((await rankOf(pid)) === rank) return pid
  throw new Error(`rank ${rank} does not run`)
}

describe.skipIf(process.platform !== 'linux')('a ring of two', () => {
  test('what a machine brings is told without starting anything', async () => {
    const facts = await mlxPool.inspect(host, model)
    expect(facts).toMatchObject({ whyNot: null, modelPath: model, devices: ['cpu'] })
    expect(facts.build).toMatch(/^mlx [\d.]+, mlx-lm [\d.]+$/)
    expect(facts.cut).toEqual({ layers: 2, heads: 4, kvHeads: 4, strategies: ['tensor'] })
    expect(await mlxPool.inspect(host, 'no/such-model')).toMatchObject({ whyNot: null, modelPath: null })
  })

  test.each(['encrypted', 'isolated'] as const)('says the same as one machine alone (%s)', async (mode) => {
    const programs = await mlxPrograms()
    const port = await freePort('127.0.0.1')
    const args = ['--model', model, '--host', '127.0.0.1', '--port', String(port)]
    const solo: Program = await startProgram(join(programs, 'mlx_lm.server'), args, /on port (\d+)/)
    open.push(solo.stop)
    const alone = await fetch(`${solo.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'default_model', ...greedy }),
    })
    const expected = await textOf(alone)
    await solo.stop()
    const pool = await group(mode)
    expect(await textOf(await pool.chat(greedy))).toBe(expected)
    // Two at once are answered one after the other.
    const both = await Promise.all([pool.chat(greedy), pool.chat(greedy)])
    expect(await Promise.all(both.map(textOf))).toEqual([expected, expected])
    await pool.stop()
    await nothingLeft()
  })

  test('takes requests only with the secret of the launch, and refuses adapters by name', async () => {
    const pool = await group()
    const lease = pool.running[0]!.lease!()
    const bare = await fetch(`${lease.origin}/v1/chat/completions`, { method: 'POST', body: '{}' })
    expect(bare.status).toBe(401)
    const adapted = await pool.chat({ ...greedy, adapters: '/somewhere' })
    expect(adapted.status).toBe(400)
    expect(await adapted.json()).toMatchObject({
      error: { code: 'unsupported_parameter', param: 'adapters' },
    })
    expect(lease.parameters.has('seed')).toBe(false)
    await pool.stop()
  })

  test('a caller that leaves in the middle does not stop the ranks', async () => {
    const pool = await group()
    for (let round = 0; round < 3; round++) {
      const leaver = new AbortController()
      const response = await pool.chat({ messages, max_tokens: 1500, stream: true }, leaver.signal)
      await response.body!.getReader().read()
      leaver.abort()
    }
    expect((await pool.chat(greedy)).status).toBe(200)
    await pool.stop()
  })

  test.each(['0', '1'])(
    'rank %s dies in the middle of an answer: it breaks off and nobody is left',
    async (rank) => {
      const pool = await group()
      const response = await pool.chat({ messages, max_tokens: 1500, stream: true })
      const reader = response.body!.getReader()
      await reader.read()
      process.kill(await pidOfRank(rank), 'SIGKILL')
      const rest = (async () => {
        for (;;) if ((await reader.read()).done) return 'ended like a whole answer'
      })()
      await expect(rest).rejects.toThrow()
      expect(await pool.over).toMatch(/MLX|member/)
      await nothingLeft()
    },
  )

  test('a rank that is stopped, and says nothing of it, is found out by one token', async () => {
    const pool = await group()
    const stopped = await pidOfRank('1')
    process.kill(stopped, 'SIGSTOP')
    expect(await pool.over).toMatch(/Nothing came out of an answer|failed/)
    await nothingLeft()
  }, 180_000)

  test('a rank that never comes ends the others with the reason', async () => {
    const [first, second] = await specs()
    const part = await mlxPool.open(first!, host, new AbortController().signal)
    const peer = await mlxPool.open(second!, host, new AbortController().signal)
    const starting = part.start([{ rank: 1, ...peer.listening! }], { signal: new AbortController().signal })
    starting.catch(() => undefined)
    await peer.stop()
    await expect(starting).rejects.toMatchObject({ code: 'pool_wire_failed' })
    await nothingLeft()
  })

  test('a start that is given up leaves no process', async () => {
    const all = await specs()
    const parts: OpenPart[] = []
    for (const spec of all) parts.push(await mlxPool.open(spec, host, new AbortController().signal))
    const giveUp = new AbortController()
    // When the group has formed and is not ready: no fixed time is sure to be both.
    const onProgress = ({ phase }: LoadProgress): void => {
      if (phase === 'reading weights') giveUp.abort(new Error('the hub gave up'))
    }
    const starts = parts.map((part, rank) =>
      part.start([{ rank: 1 - rank, ...parts[1 - rank]!.listening! }], { signal: giveUp.signal, onProgress }),
    )
    const ends = await Promise.allSettled(starts)
    const givenUp = { status: 'rejected', reason: new Error('the hub gave up') }
    expect(ends).toEqual([givenUp, givenUp])
    await Promise.all(parts.map((part) => part.stop()))
    await nothingLeft()
  })
})
