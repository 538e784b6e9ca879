/**
 * A model on three agents by llama.cpp RPC over the encrypted wire, all on this machine: what it says, how it ends, and
 * what it leaves behind.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LocalPool } from '../../src/agent/pool/local-pool.ts'
import { writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import type { EngineProcess } from '../../src/engines/engine.ts'
import { findLlamaServer, llamaServerPlaces } from '../../src/engines/llama-server/detect.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { commandLine } from '../../src/engines/llama-server/launch.ts'
import { type Serving, serveLlama } from '../../src/engines/llama-server/serve.ts'
import { writeGguf } from '../../src/formats/gguf/write-gguf.ts'
import { llamaRpc } from '../../src/pool/llama-rpc/index.ts'
import type { OpenPart, PartSpec, RunningPart } from '../../src/protocol/pool.ts'
import { descendants, eventually, isAlive } from '../support/cli.ts'
import { testHome } from '../support/engine-home.ts'
import { groupSpecs } from '../support/pool-group.ts'

const shape = { layers: 6, embedding: 256, heads: 4, kvHeads: 2, feedForward: 512, context: 4096 }
const model = 'mid'
const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
const { signal } = new AbortController()
const homes = hosts.map(() => testHome())
const modelPath = join(homes[0]!.root, 'mid.gguf')
const adapter = join(homes[0]!.root, 'adapter.gguf')
let budgetBytes = 1e9
/** One per machine. Only the first has the model. */
const agents = homes.map((home, index) => {
  const pool: LocalPool = new LocalPool({
    ...{ home, log: silentLog, clock: systemClock, changed: () => undefined },
    findModel: (id) => (index === 0 && id === model ? { path: modelPath, sizeBytes: 1e7 } : null),
    memory: () => ({ budgetBytes, usedBytes: pool.heldBytes() }),
  })
  return pool
})
let solo: EngineProcess

beforeAll(async () => {
  await llamaServerDriver(homes[0]!).install({ onProgress: () => undefined, signal })
  writeRandomGguf(modelPath, { ...shape, vocab: 600, type: 'F32', seed: 7, name: model })
  await writeFile(adapter, smallAdapter())
  solo = await soloEngine()
}, 30 * 60_000)
afterAll(async () => {
  await Promise.all([solo?.stop(0), ...agents.map((agent) => agent.close())])
  for (const home of homes) home.remove()
})

const soloEngine = (): Promise<EngineProcess> =>
  llamaServerDriver(homes[0]!).launch({
    ...{ modelId: model, modelPath, contextTokens: 2048, parallel: 4, threads: null, embedding: false },
    ...{ onProgress: () => undefined, onLog: () => undefined, signal },
  })

async function soloWithAdapter(): Promise<Serving> {
  const binary = await findLlamaServer(llamaServerPlaces(homes[0]!), { rpc: true })
  const chosen = { modelId: model, modelPath, contextTokens: 2048, parallel: 4, threads: 1, embedding: false }
  const args = [...commandLine(binary!.flags, { ...chosen, pooling: null }), '--lora', adapter]
  const quiet = { onProgress: () => undefined, onLog: () => undefined, signal }
  return serveLlama({
    binary: binary!.path,
    args,
    home: homes[0]!,
    modelId: model,
    embedding: false,
    ...quiet,
  })
}

/** Changes two matrices of the first layer so much that the answer is another. */
function smallAdapter(): Uint8Array {
  const rank = 4
  const random = (count: number, seed: number): Uint8Array => {
    const values = Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * seed) * 0.1)
    return new Uint8Array(values.buffer)
  }
  const { embedding, heads, kvHeads } = shape
  const kv = (embedding / heads) * kvHeads
  const tensors = [
    { name: 'blk.0.attn_q.weight.lora_a', shape: [embedding, rank], data: random(embedding * rank, 1.3) },
    { name: 'blk.0.attn_q.weight.lora_b', shape: [rank, embedding], data: random(embedding * rank, 2.7) },
    // One on a worker's layer.
    { name: 'blk.5.attn_v.weight.lora_a', shape: [embedding, rank], data: random(embedding * rank, 3.1) },
    { name: 'blk.5.attn_v.weight.lora_b', shape: [rank, kv], data: random(kv * rank, 0.9) },
  ]
  return writeGguf({
    metadata: {
      'general.type': 'adapter',
      'general.architecture': 'llama',
      'adapter.type': 'lora',
      'adapter.lora.alpha': { type: 'float32', value: 8 },
    },
    tensors: tensors.map((tensor) => ({ ...tensor, type: 'F32' })),
  })
}

async function specs(change: (head: Record<string, unknown>) => void = () => undefined): Promise<PartSpec[]> {
  const facts = await Promise.all(agents.map((agent) => agent.inspect({ engine: 'llama-rpc', model })))
  const settings = llamaRpc.layout({
    ...{ model, strategy: 'pipeline', contextTokens: 2048, parallel: 4 },
    members: facts.map((each, index) => ({
      ...{ node: `m${index}`, layers: 2, share: 1 / 3, limitBytes: 1e8, facts: each },
    })),
  })
  change(settings[0]!)
  return groupSpecs(llamaRpc, { model, settings, hosts })
}

interface Group {
  parts: OpenPart[]
  head: RunningPart
  stop(): Promise<void>
}

/** As the hub does it: all opened, workers first, then the head. */
async function launch(of: readonly PartSpec[]): Promise<Group> {
  const parts: OpenPart[] = []
  const stop = async (): Promise<void> => void (await Promise.all(parts.map((part) => part.stop())))
  try {
    for (const spec of of) parts.push(await agents[spec.rank]!.open(spec, signal))
    const peers = parts.flatMap(({ listening }, rank) => (listening ? [{ rank, ...listening }] : []))
    await Promise.all(parts.slice(1).map((part) => part.start([], { signal })))
    const head = await parts[0]!.start(peers, { signal })
    return { parts, head, stop }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

type Engine = Pick<EngineProcess, 'origin' | 'headers'>
interface Said {
  text: string
  /** Of each token, as the engine computed it. */
  logprobs: number[]
}

async function say(engine: Engine, body: object): Promise<Said> {
  const response = await fetch(`${engine.origin}/v1/completions`, {
    method: 'POST',
    headers: { ...engine.headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model, max_tokens: 24, temperature: 0, cache_prompt: false, logprobs: 1, ignore_eos: true },
      ...body,
    }),
  })
  expect(response.status).toBe(200)
  const answer = (await response.json()) as {
    choices: { text: string; logprobs: { content: { logprob: number }[] } | null }[]
  }
  const { text, logprobs } = answer.choices[0]!
  // Of a text that ends within a character there are none.
  return { text, logprobs: logprobs?.content.map(({ logprob }) => logprob) ?? [] }
}

/** The same words, each as likely as with the other engine. */
function expectSame(one: Said, other: Said): void {
  expect(one.text).toBe(other.text)
  expect(one.logprobs.length).toBe(other.logprobs.length)
  for (const [index, value] of one.logprobs.entries()) expect(value).toBeCloseTo(other.logprobs[index]!, 2)
}

const prompts = ['The machines are', 'Once upon a time', 'one two three', 'What holds it together?']
const long = Array.from({ length: 260 }, (_, i) => `word ${i} of a long story.`)
  .join(' ')
  .slice(0, 1500)

/** Processes of llama.cpp below this one, by name. */
function processes(name: string): number[] {
  return descendants(process.pid).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith(name)
    } catch {
      return false
    }
  })
}

/** A process that was killed may be listed for a moment more. */
const onlySolo = (): Promise<void> =>
  eventually('every engine but the one alone to end', () => {
    const left = [...processes('ggml-rpc-server'), ...processes('llama-server')]
    return left.length === 1 && left[0] === solo.pid
  })

async function isAnswering({ origin, headers }: Engine): Promise<boolean> {
  const slots = (await (await fetch(`${origin}/slots`, { headers })).json()) as { is_processing: boolean }[]
  return slots.some((slot) => slot.is_processing)
}

/** Addresses that this process and its children listen on; those of the tests beside this one are not counted. */
function listening(): string[] {
  const own = new Set([process.pid, ...descendants(process.pid)].flatMap(socketsOf))
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1),
  )
  return lines.flatMap((line) => {
    const [, local, , state, , , , , , inode = ''] = line.trim().split(/\s+/)
    return state === '0A' && local && own.has(inode) ? [local] : []
  })
}

/** Inodes of the sockets that a process has open. */
function socketsOf(pid: number): string[] {
  const files = orNone(() => readdirSync(`/proc/${pid}/fd`))
  const links = files.flatMap((name) => orNone(() => [readlinkSync(`/proc/${pid}/fd/${name}`)]))
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}

/** A process or a file may have gone while we looked. */
function orNone(look: () => string[]): string[] {
  try {
    return look()
  } catch {
    return []
  }
}

describe.skipIf(process.platform !== 'linux')('a model on three agents', () => {
  test('says what the solo engine says, at short and long context, one by one and in parallel', async () => {
    const group = await launch(await specs())
    try {
      const lease = group.head.lease!()
      for (const prompt of [...prompts, long]) {
        expectSame(await say(lease, { prompt }), await say(solo, { prompt }))
      }
      const [pooled, alone] = await Promise.all([
        Promise.all(prompts.map((prompt) => say(lease, { prompt }))),
        Promise.all(prompts.map((prompt) => say(solo, { prompt }))),
      ])
      for (const [index, said] of pooled.entries()) expectSame(said, alone[index]!)
      expect(new Set(pooled.map(({ text }) => text)).size).toBeGreaterThan(1)
      // It is really spread: both workers run and hold weights.
      expect(processes('ggml-rpc-server')).toHaveLength(2)
      lease.release()
    } finally {
      await group.stop()
    }
    await onlySolo()
  }, 300_000)

  test('with an adapter says what the solo engine says with it, and not what it says without', async () => {
    const group = await launch(
      await specs((head) => {
        head.lora = [{ path: adapter }]
      }),
    )
    const alone = await soloWithAdapter()
    try {
      const lease = group.head.lease!()
      let compared = 0
      for (const prompt of prompts) {
        const adapted = await say(lease, { prompt, lora: [{ id: 0, scale: 1 }] })
        expectSame(adapted, await say(alone, { prompt, lora: [{ id: 0, scale: 1 }] }))
        const plain = await say(lease, { prompt, lora: [{ id: 0, scale: 0 }] })
        expectSame(plain, await say(solo, { prompt }))
        expect(adapted).not.toEqual(plain)
        compared += adapted.logprobs.length
      }
      expect(compared).toBeGreaterThan(0)
    } finally {
      await Promise.all([group.stop(), alone.child.stop(0)])
    }
  }, 300_000)

  test('loses a worker in the middle of an answer: the group ends with the reason, and nothing of it is left', async () => {
    const before = new Set(listening())
    const group = await launch(await specs())
    const [victim = 0] = processes('ggml-rpc-server')
    const lease = group.head.lease!()
    const broken = say(lease, { prompt: 'go on', max_tokens: 1500, ignore_eos: true }).catch((error) => error)
    await eventually('the answer to be under way', () => isAnswering(lease))
    process.kill(victim, 'SIGKILL')
    const [atHead, atWorker] = await Promise.all([
      lease.died,
      Promise.race(group.parts.slice(1).map((p) => p.died)),
    ])
    expect(atHead).toMatch(
      /^The connection to member [12] was lost: it ended its part: The engine was killed|^The engine /,
    )
    expect(atWorker).toMatch(/^The engine was killed/)
    expect(await broken).toBeInstanceOf(Error)
    await group.stop()
    await onlySolo()
    await eventually('every port of the group to be closed', () => listening().every((at) => before.has(at)))
    expect(agents.map((agent) => agent.heldBytes())).toEqual([0, 0, 0])
  }, 300_000)

  test('has a worker that is stopped in its work: it is noticed from outside and ends', async () => {
    const group = await launch(await specs())
    const [victim = 0] = processes('ggml-rpc-server')
    process.kill(victim, 'SIGSTOP')
    expect(await Promise.race(group.parts.map((part) => part.died))).toMatch(/SIGSTOP|ended its part/)
    await group.stop()
    await eventually('the worker to end', () => !isAlive(victim))
  }, 300_000)

  test('starts again on weights that its workers kept, and says the same', async () => {
    for (const round of [1, 2]) {
      const group = await launch(await specs())
      const prompt = `again ${round}`
      expectSame(await say(group.head.lease!(), { prompt }), await say(solo, { prompt }))
      await group.stop()
    }
  }, 300_000)
})

describe.skipIf(process.platform !== 'linux')('a member', () => {
  test('tells what it brings without holding anything', async () => {
    const [facts] = await Promise.all(agents.map((agent) => agent.inspect({ engine: 'llama-rpc', model })))
    expect(facts).toMatchObject({ whyNot: null, devices: ['CPU'], modelPath })
    expect(facts?.build).toMatch(/^llama\.cpp .+ rpc \d+\.\d+\.\d+$/)
    expect(facts?.header?.model).toMatchObject({ layers: 6 })
    expect(processes('ggml-rpc-server')).toEqual([])
  })

  test('serves one pool at a time, within its budget, on its own addresses, with the build that was planned', async () => {
    const [, worker] = await specs()
    const part = await agents[1]!.open(worker!, signal)
    expect(agents[1]!.heldBytes()).toBe(1e8)
    expect(agents[1]!.running()).toMatchObject([
      { id: 'test, part 2 of 3', engine: 'llama-rpc', state: 'loading' },
    ])
    await expect(agents[1]!.open({ ...worker!, pool: 'other' }, signal)).rejects.toThrow(
      /member of pool test already/,
    )
    // The same pool again is a new launch of it: the old one goes first.
    const again = await agents[1]!.open(worker!, signal)
    await again.stop()
    await part.stop()
    expect(agents[1]!.heldBytes()).toBe(0)
    for (const [change, why] of [
      [{ wire: { ...worker!.wire, host: '0.0.0.0' } }, /0\.0\.0\.0 is no address of this machine/],
      [{ wire: { ...worker!.wire, host: '203.0.113.7' } }, /no address of this machine/],
      [
        { settings: { ...worker!.settings, build: 'llama.cpp 1' } },
        /The pool runs llama\.cpp 1, and this machine has/,
      ],
      [{ settings: { role: 'worker' } }, /not those of llama\.cpp RPC/],
    ] as const) {
      await expect(agents[1]!.open({ ...worker!, ...change }, signal)).rejects.toThrow(why)
    }
    budgetBytes = 5e7
    await expect(agents[1]!.open(worker!, signal)).rejects.toThrow(/needs 100 MB here, and 50\.0 MB/)
    budgetBytes = 1e9
    expect(agents[1]!.running()).toEqual([])
  })

  test('that cannot reach a worker says which address, and nothing is left', async () => {
    const of = await specs()
    const head = await agents[0]!.open(of[0]!, signal)
    const peers = [1, 2].map((rank) => ({ rank, host: '127.0.0.9', port: 1 }))
    await expect(head.start(peers, { signal: AbortSignal.timeout(3_000) })).rejects.toThrow()
    expect(agents[0]!.running()).toEqual([])
    await onlySolo()
  })
})
