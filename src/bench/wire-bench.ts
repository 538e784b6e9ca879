/**
 * What the wire between members costs: the same bytes straight to an engine's loopback port, through two relays that
 * encrypt nothing, and through the wire, in turns. Every end is a process of its own, as on machines of their own; on a
 * machine with fewer processors than processes they share them, so read the ratios. Then what llama.cpp says for one token.
 *
 * `node dist/bench/wire-bench.js [--json] [--quick]`
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { childEntry } from '../core/child-entry.ts'
import { median } from '../core/median.ts'
import { MiB } from '../core/units.ts'
import type { Role } from './wire-end.ts'
import { bytesOf, tokenAnswer, tokenRequest } from './wire-exchange.ts'

const ways = ['straight', 'plain', 'encrypted'] as const
type Way = (typeof ways)[number]

interface Round {
  MBPerS: number
  rttUs: number
  /** Of both relays together, seconds per GB; 0 for the straight way. */
  cpuSPerGB: number
}

const tokenWays = ['straight', 'encrypted'] as const
type TokenWay = (typeof tokenWays)[number]

interface Token {
  /** From the first piece of the request to the last byte of the answer, microseconds. */
  us: number
  /** Of both relays, microseconds a token. */
  cpuUs: number
}

export interface WireCost extends Record<Way, Round> {
  token: Record<TokenWay, Token>
  /** Encrypted against plain relays, and both against no relay. */
  ratio: { encryptedToPlain: number; encryptedToStraight: number; addedRttUs: number }
  rounds: number
}

const quick = process.argv.includes('--quick')
const rounds = quick ? 1 : 5
const payload = (quick ? 200 : 1_000) * MiB
const messages = quick ? 500 : 3_000
const tokens = quick ? 100 : 300
const program = childEntry(import.meta.url, './wire-end.ts')

class End {
  readonly child: ChildProcess = fork(program, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })

  async start(role: Role): Promise<number> {
    this.child.send(role)
    const [{ port }] = (await once(this.child, 'message')) as [{ port: number }]
    return port
  }

  async cpuS(): Promise<number> {
    this.child.send('cpu')
    const [{ cpuS }] = (await once(this.child, 'message')) as [{ cpuS: number }]
    return cpuS
  }
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

/** Median of small messages there and back, microseconds. */
async function roundTrip(port: number): Promise<number> {
  const socket = await open(port)
  const message = Buffer.alloc(16)
  const times: number[] = []
  for (let i = 0; i < messages; i++) {
    const sentAt = performance.now()
    socket.write(message)
    await once(socket, 'data')
    times.push((performance.now() - sentAt) * 1000)
  }
  socket.destroy()
  return median(times)
}

/** Seconds for the payload to be taken at the far end. */
async function transfer(port: number): Promise<number> {
  const socket = await open(port)
  const piece = randomBytes(MiB)
  const startedAt = performance.now()
  for (let sent = 0; sent < payload; sent += piece.length) {
    if (!socket.write(piece)) await once(socket, 'drain')
  }
  socket.end()
  const [told] = (await once(socket, 'data')) as [Buffer]
  if (Number(told.toString()) !== payload) throw new Error(`${told.toString()} of ${payload} bytes arrived`)
  socket.destroy()
  return (performance.now() - startedAt) / 1000
}

/** A model computes between two tokens, and relays sleep. Milliseconds. */
const computes = 5

async function askForTokens(port: number): Promise<number> {
  const socket = await open(port)
  const whole = bytesOf(tokenAnswer)
  let come = 0
  let answered: () => void = () => undefined
  // It may come while the last piece is still being written.
  socket.on('data', (chunk: Buffer) => {
    come += chunk.length
    if (come === whole) answered()
  })
  const times: number[] = []
  for (let i = 0; i < tokens; i++) {
    await sleep(computes)
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    come = 0
    const sentAt = performance.now()
    for (const piece of tokenRequest) {
      socket.write(piece)
      // The engine's thread writes them one after the other, some microseconds apart.
      await turn()
    }
    await answer
    times.push((performance.now() - sentAt) * 1000)
  }
  socket.destroy()
  return median(times)
}

async function cpuOf(relays: readonly End[]): Promise<number> {
  let sum = 0
  for (const each of relays) sum += await each.cpuS()
  return sum
}

async function measureTokens(): Promise<WireCost['token']> {
  const ends: End[] = []
  const begun = async (role: Role): Promise<number> => {
    const end = new End()
    ends.push(end)
    return end.start(role)
  }
  try {
    const engine = await begun({ role: 'llama' })
    const stands: { way: TokenWay; port: number; relays: End[]; seen: Token[] }[] = [
      { way: 'straight', port: engine, relays: [], seen: [] },
    ]
    const secret = randomBytes(32).toString('base64url')
    const way = 'encrypted'
    const to = await begun({ role: 'worker', way, to: engine, secret })
    const port = await begun({ role: 'head', way, to, secret })
    stands.push({ way, port, relays: ends.slice(-2), seen: [] })
    for (const stand of stands) await askForTokens(stand.port)
    for (let i = 0; i < rounds; i++)
      for (const { port: at, relays, seen } of stands) {
        const before = await cpuOf(relays)
        const us = await askForTokens(at)
        seen.push({ us, cpuUs: (((await cpuOf(relays)) - before) / tokens) * 1e6 })
      }
    const middle = (seen: Token[]): Token => ({
      us: median(seen.map(({ us }) => us)),
      cpuUs: median(seen.map(({ cpuUs }) => cpuUs)),
    })
    return Object.fromEntries(stands.map(({ way, seen }) => [way, middle(seen)])) as WireCost['token']
  } finally {
    for (const end of ends) end.child.kill('SIGKILL')
  }
}

async function oneRound(port: number, relays: readonly End[]): Promise<Round> {
  const rttUs = await roundTrip(port)
  const before = await cpuOf(relays)
  const seconds = await transfer(port)
  const gb = payload / 1e9
  return { MBPerS: payload / 1e6 / seconds, rttUs, cpuSPerGB: ((await cpuOf(relays)) - before) / gb }
}

async function measure(): Promise<WireCost> {
  const engine = new End()
  const by = Object.fromEntries(ways.map((way) => [way, [] as Round[]])) as Record<Way, Round[]>
  const relays: Record<'plain' | 'encrypted', End[]> = { plain: [], encrypted: [] }
  try {
    const enginePort = await engine.start({ role: 'engine' })
    const ports: Record<Way, number> = { straight: enginePort, plain: 0, encrypted: 0 }
    for (const way of ['plain', 'encrypted'] as const) {
      const secret = randomBytes(32).toString('base64url')
      const [worker, head] = [new End(), new End()]
      relays[way].push(worker, head)
      const port = await worker.start({ role: 'worker', way, to: enginePort, secret })
      ports[way] = await head.start({ role: 'head', way, to: port, secret })
    }
    const ends = (way: Way): readonly End[] => (way === 'straight' ? [] : relays[way])
    for (const way of ways) await oneRound(ports[way], ends(way))
    for (let i = 0; i < rounds; i++)
      for (const way of ways) by[way].push(await oneRound(ports[way], ends(way)))
  } finally {
    for (const end of [engine, ...relays.plain, ...relays.encrypted]) end.child.kill('SIGKILL')
  }
  return { ...summarise(by), token: await measureTokens() }
}

function summarise(by: Record<Way, Round[]>): Omit<WireCost, 'token'> {
  const of = (way: Way): Round => ({
    MBPerS: median(by[way].map((round) => round.MBPerS)),
    rttUs: median(by[way].map((round) => round.rttUs)),
    cpuSPerGB: median(by[way].map((round) => round.cpuSPerGB)),
  })
  // Of neighbours in time, so that a slow minute weighs on both.
  const ratio = (way: Way): number =>
    median(by.encrypted.map((round, i) => round.MBPerS / by[way][i]!.MBPerS))
  const [straight, plain, encrypted] = ways.map(of) as [Round, Round, Round]
  return {
    ...{ straight, plain, encrypted },
    ratio: {
      encryptedToPlain: ratio('plain'),
      encryptedToStraight: ratio('straight'),
      addedRttUs: median(by.encrypted.map((round, i) => round.rttUs - by.straight[i]!.rttUs)),
    },
    rounds,
  }
}

function toText(cost: WireCost): string {
  const line = (way: Way): string => {
    const { MBPerS, rttUs, cpuSPerGB } = cost[way]
    return `${way.padEnd(10)} ${MBPerS.toFixed(0).padStart(6)} MB/s   rtt ${rttUs.toFixed(0).padStart(5)} us   relays' CPU ${cpuSPerGB.toFixed(2)} s/GB\n`
  }
  const token = (way: TokenWay): string => {
    const { us, cpuUs } = cost.token[way]
    return `a token    ${way.padEnd(10)} ${us.toFixed(0).padStart(5)} us   relays' CPU ${cpuUs.toFixed(0).padStart(5)} us\n`
  }
  const { encryptedToPlain, encryptedToStraight, addedRttUs } = cost.ratio
  return (
    ways.map(line).join('') +
    `encrypted against plain relays ${encryptedToPlain.toFixed(2)}, against no relay ${encryptedToStraight.toFixed(2)}; added rtt ${addedRttUs.toFixed(0)} us\n` +
    tokenWays.map(token).join('')
  )
}

const cost = await measure()
process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(cost)}\n` : toText(cost))
process.exit(0)
