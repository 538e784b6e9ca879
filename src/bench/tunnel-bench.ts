/**
 * What the tunnel costs: the same load straight to a node's loopback port and through its tunnel, taking turns in one
 * run, so that a noisy machine disturbs both alike. Read the ratios. CPU is that of this process, the hub's side.
 *
 * `node dist/bench/tunnel-bench.js [--json] [--quick]`
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Dispatcher, Pool } from 'undici'
import { childEntry } from '../core/child-entry.ts'
import { median } from '../core/median.ts'
import { createTunnelAcceptor } from '../tunnel/accept.ts'
import type { TunnelSession } from '../tunnel/session.ts'

const ways = ['straight', 'tunnel'] as const
type Way = (typeof ways)[number]
type Figures = Record<Way, number>

interface Round {
  requestsPerS: number
  requestCpuUs: number
  p50Ms: number
  chunksPerS: number
  chunkCpuUs: number
  uploadMBPerS: number
}

export interface TunnelCost {
  /** Small JSON, 64 at once. */
  requestsPerS: Figures
  requestCpuUs: Figures
  /** One request after the other. Milliseconds. */
  p50Ms: Figures
  addedP50Ms: number
  /** Events of 64 streams at once, more offered than either way carries. */
  chunksPerS: Figures
  chunkCpuUs: Figures
  /** 100 MB in one request; MB = 10^6 bytes. */
  uploadMBPerS: Figures
  /** Tunnel against straight; 1 is as fast, for CPU as cheap. */
  ratio: { requests: number; requestCpu: number; chunks: number; chunkCpu: number; upload: number }
  memory: { idleNodes: number; bytesPerIdleNode: number; openStreams: number; bytesPerOpenStream: number }
  rounds: number
}

const quick = process.argv.includes('--quick')
const rounds = quick ? 1 : 5
const loadMs = quick ? 400 : 1_500
const idleNodes = quick ? 50 : 500
const openStreams = quick ? 50 : 400
const uploadBytes = 100_000_000
const program = childEntry(import.meta.url, './tunnel-node.ts')
const eventMark = Buffer.from('data: ')

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

class Hub {
  readonly server = createServer()
  private readonly waiting = new Set<() => void>()
  private readonly acceptor = createTunnelAcceptor({
    hubVersion: 'bench',
    authenticate: async (hello) => ({ nodeId: hello.nodeId }),
    onSession: () => {
      for (const wake of this.waiting) wake()
    },
  })

  async listen(): Promise<string> {
    this.server.on('upgrade', this.acceptor.upgrade)
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async session(nodeId: string): Promise<TunnelSession> {
    await this.until(() => this.acceptor.session(nodeId) !== undefined)
    return this.acceptor.session(nodeId)!
  }

  async nodes(count: number): Promise<void> {
    await this.until(() => this.acceptor.sessions().length >= count)
  }

  close(): void {
    this.acceptor.close()
    this.server.close()
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.waiting.delete(look)
        resolve()
      }
      this.waiting.add(look)
      look()
    })
  }
}

/** A node in a process of its own; resolves with its loopback origin. */
async function startNode(
  hubUrl: string,
  nodeId: string,
  count = 1,
): Promise<{ child: ChildProcess; origin: string }> {
  const child = spawn(process.execPath, [program, hubUrl, nodeId, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  const { port } = JSON.parse(line.toString()) as { port: number }
  return { child, origin: `http://127.0.0.1:${port}` }
}

/** One GET; resolves with the number of events in the answer. */
function get(dispatcher: Dispatcher, origin: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let events = 0
    let status = 0
    dispatcher.dispatch(
      { origin, path, method: 'GET' },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_, code) => {
          status = code
        },
        onResponseData: (_, chunk) => {
          for (let at = chunk.indexOf(eventMark); at >= 0; at = chunk.indexOf(eventMark, at + 6)) events++
        },
        onResponseEnd: () => (status === 200 ? resolve(events) : reject(new Error(`status ${status}`))),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function oneRound(dispatcher: Dispatcher, origin: string): Promise<Round> {
  const requests = await load(64, async () => {
    await get(dispatcher, origin, '/json')
    return 1
  })
  const latencies: number[] = []
  await load(1, async () => {
    const sentAt = performance.now()
    await get(dispatcher, origin, '/json')
    latencies.push(performance.now() - sentAt)
    return 1
  })
  const chunks = await load(64, () => get(dispatcher, origin, '/sse?chunks=100&everyMs=1'))
  return {
    requestsPerS: requests.perS,
    requestCpuUs: requests.cpuUs,
    p50Ms: median(latencies),
    chunksPerS: chunks.perS,
    chunkCpuUs: chunks.cpuUs,
    uploadMBPerS: await upload(dispatcher, origin),
  }
}

/** Runs `work` in `workers` loops for a time; `work` says how many units it did. */
async function load(workers: number, work: () => Promise<number>): Promise<{ perS: number; cpuUs: number }> {
  const startedAt = performance.now()
  const cpuBefore = cpuUs()
  let units = 0
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (performance.now() - startedAt < loadMs) {
        // Not `+= await`: that adds to the sum as it was before the wait.
        const did = await work()
        units += did
      }
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  return { perS: units / seconds, cpuUs: (cpuUs() - cpuBefore) / units }
}

async function upload(dispatcher: Dispatcher, origin: string): Promise<number> {
  const piece = Buffer.alloc(64 * 1024)
  let left = uploadBytes
  const body = new Readable({
    read() {
      const bytes = Math.min(left, piece.length)
      left -= bytes
      this.push(bytes === 0 ? null : piece.subarray(0, bytes))
    },
  })
  const startedAt = performance.now()
  const answer = await dispatcher.request({ origin, path: '/sink', method: 'POST', body })
  const { bytes } = (await answer.body.json()) as { bytes: number }
  if (bytes !== uploadBytes) throw new Error(`the node got ${bytes} of ${uploadBytes} bytes`)
  return uploadBytes / 1e6 / ((performance.now() - startedAt) / 1000)
}

/** Memory held by the process after a collection: what V8, its buffers and the allocator hold, resident or not. */
async function held(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    await sleep(50)
    const { heapUsed, external } = process.memoryUsage()
    least = Math.min(least, heapUsed + external)
  }
  return least
}

async function measureMemory(
  hub: Hub,
  hubUrl: string,
  session: TunnelSession,
): Promise<TunnelCost['memory']> {
  const empty = await held()
  const answers: Dispatcher.ResponseData[] = []
  for (let i = 0; i < openStreams; i++) answers.push(await session.request({ path: '/hang', method: 'GET' }))
  const withStreams = await held()
  for (const answer of answers) answer.body.on('error', () => undefined).destroy()

  const before = await held()
  const { child } = await startNode(hubUrl, 'idle', idleNodes)
  await hub.nodes(idleNodes + 1)
  const withNodes = await held()
  child.kill('SIGKILL')
  return {
    idleNodes,
    bytesPerIdleNode: Math.round((withNodes - before) / idleNodes),
    openStreams,
    bytesPerOpenStream: Math.round((withStreams - empty) / openStreams),
  }
}

async function measure(): Promise<TunnelCost> {
  const hub = new Hub()
  const hubUrl = await hub.listen()
  const { child, origin } = await startNode(hubUrl, 'm1')
  const session = await hub.session('m1')
  const pool = new Pool(origin, { connections: 64, pipelining: 1 })
  const by: Record<Way, Round[]> = { straight: [], tunnel: [] }
  try {
    await oneRound(pool, origin)
    await oneRound(session.dispatcher, 'http://node')
    for (let i = 0; i < rounds; i++) {
      by.straight.push(await oneRound(pool, origin))
      by.tunnel.push(await oneRound(session.dispatcher, 'http://node'))
    }
    await pool.close()
    return summarise(by, await measureMemory(hub, hubUrl, session))
  } finally {
    hub.close()
    child.kill('SIGKILL')
  }
}

function summarise(by: Record<Way, Round[]>, memory: TunnelCost['memory']): TunnelCost {
  const figures = (pick: (round: Round) => number): Figures => ({
    straight: median(by.straight.map(pick)),
    tunnel: median(by.tunnel.map(pick)),
  })
  // Of each pair of neighbours in time, so that a slow minute weighs on both.
  const ratio = (pick: (round: Round) => number): number =>
    median(by.tunnel.map((round, i) => pick(round) / pick(by.straight[i]!)))
  return {
    requestsPerS: figures((each) => each.requestsPerS),
    requestCpuUs: figures((each) => each.requestCpuUs),
    p50Ms: figures((each) => each.p50Ms),
    addedP50Ms: median(by.tunnel.map((round, i) => round.p50Ms - by.straight[i]!.p50Ms)),
    chunksPerS: figures((each) => each.chunksPerS),
    chunkCpuUs: figures((each) => each.chunkCpuUs),
    uploadMBPerS: figures((each) => each.uploadMBPerS),
    ratio: {
      requests: ratio((each) => each.requestsPerS),
      requestCpu: ratio((each) => each.requestCpuUs),
      chunks: ratio((each) => each.chunksPerS),
      chunkCpu: ratio((each) => each.chunkCpuUs),
      upload: ratio((each) => each.uploadMBPerS),
    },
    memory,
    rounds,
  }
}

function toText(cost: TunnelCost): string {
  const line = (name: string, of: Figures, unit: string, digits = 0): string =>
    `${name.padEnd(34)} straight ${of.straight.toFixed(digits)} ${unit}, tunnel ${of.tunnel.toFixed(digits)} ${unit}\n`
  const { memory, ratio } = cost
  return (
    line('requests, 64 at once', cost.requestsPerS, '/s') +
    line('CPU per request', cost.requestCpuUs, 'us', 1) +
    line('p50, one after the other', cost.p50Ms, 'ms', 3) +
    line('chunks, 64 streams', cost.chunksPerS, '/s') +
    line('CPU per chunk', cost.chunkCpuUs, 'us', 1) +
    line('upload of 100 MB', cost.uploadMBPerS, 'MB/s') +
    `tunnel against straight: requests ${ratio.requests.toFixed(2)}, chunks ${ratio.chunks.toFixed(2)}, ` +
    `CPU per chunk ${ratio.chunkCpu.toFixed(2)}, upload ${ratio.upload.toFixed(2)}; added p50 ${cost.addedP50Ms.toFixed(3)} ms\n` +
    `hub memory: ${memory.bytesPerIdleNode} bytes per idle node (${memory.idleNodes}), ` +
    `${memory.bytesPerOpenStream} bytes per open stream (${memory.openStreams})\n`
  )
}

const result = await measure()
process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(result)}\n` : toText(result))
process.exit(0)
