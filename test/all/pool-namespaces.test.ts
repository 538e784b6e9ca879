/**
 * Three machines on a switch hold one model that each alone is told it cannot, serve it over the encrypted wire to the
 * OpenAI client, lose a member in the middle of an answer, and serve again with nobody's help. The model is random; its
 * speed and its failures are real.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNamespaces } from '../../src/bench/lab/namespaces.ts'
import { neverEnding, writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { eventually, isAlive } from '../support/cli.ts'
import { testHome } from '../support/engine-home.ts'
import { FleetLan } from '../support/fleet-lan.ts'
import { type Answer, askOn, poolEvents, poolOn, processesOn, questionOn } from '../support/pool-on-lan.ts'

const missing = whyNoNamespaces()
const names = ['oak', 'elm', 'ash']
const model = 'wide'
/** 137 MB of weights; with its buffers it fits three machines of this budget, and just two, but not one. */
const budgetMb = '185'
let net: FleetLan

const pool = () => poolOn(net, 'big')
const vocab = 2000
const ask = () => askOn(net, model, neverEnding({ vocab }))
/** Longer than anything that is done meanwhile: it ends where the context of its pool does. */
const askLong = () => questionOn(net, model, 1_200, neverEnding({ vocab }))

/** Ports of a machine that answer someone on the switch, and what they say to one who knows nothing. */
async function scan(name: string): Promise<Record<string, string>> {
  const { address } = net.machines[name]!
  return (await net.onDesk(`
    import { connect } from 'node:net'
    const found = {}
    const look = (port) => new Promise((resolve) => {
      const socket = connect({ host: '${address}', port })
      let said = Buffer.alloc(0)
      const done = () => { socket.destroy(); resolve() }
      socket.setTimeout(1500, done)
      socket.on('connect', () => {
        found[port] = ''
        // HELLO of llama.cpp's RPC: an engine would answer it with its version.
        const hello = Buffer.alloc(33); hello[0] = 14; hello.writeBigUInt64LE(24n, 1); socket.write(hello)
      })
      socket.on('data', (chunk) => { said = Buffer.concat([said, chunk]); found[port] = said.toString('hex') })
      socket.on('error', done)
      socket.on('close', done)
    })
    const ports = Array.from({ length: 65535 }, (_, i) => i + 1)
    await Promise.all(Array.from({ length: 500 }, async () => { for (let p; (p = ports.pop()); ) await look(p) }))
    console.log(JSON.stringify(found))
  `)) as Record<string, string>
}

/** Processes of llama.cpp below an agent; the guard's own line names them too, after its own name. */
const engines = (name: string) => processesOn(net, name, /^\S*(llama-server|ggml-rpc-server) /)

describe.skipIf(missing !== null)(`a pool of three machines${missing ? ` (${missing})` : ''}`, () => {
  beforeAll(async () => {
    const home = testHome()
    await llamaServerDriver(home).install({
      onProgress: () => undefined,
      signal: new AbortController().signal,
    })
    home.remove()
    net = new FleetLan('10.213.9')
    await net.up()
    for (const name of names) {
      const folder = net.fleet.home()
      // Only the first has the model; the others never need the file.
      if (name === 'oak') {
        mkdirSync(join(folder, 'models'), { recursive: true })
        writeRandomGguf(join(folder, 'models', `${model}.gguf`), {
          ...{
            layers: 6,
            embedding: 1024,
            heads: 16,
            kvHeads: 4,
            feedForward: 2816,
            vocab,
            context: 2048,
          },
          ...{ type: 'F16', seed: 3, name: model },
        })
      }
      const env = { HOLON_MEMORY_BUDGET_MB: budgetMb, HOLON_ENGINE: 'llama-server' }
      await net.join(name, { args: ['--token', await net.token()], home: folder, env }).until(/Connected to/)
    }
    await net.untilReady(...names)
  }, 30 * 60_000)
  afterAll(async () => {
    await net?.end()
  }, 60_000)

  test('each alone is told that it cannot', async () => {
    const refused = await ask()
    expect(refused.error).toMatch(/memory|needs about|fit/i)
  }, 120_000)

  test('together they hold it and serve it to the client, though the head alone has the file', async () => {
    const made = await net.owner([
      ...['pool', 'create', 'big', '--model', model, '--nodes', names.join(','), '--engine', 'llama-rpc'],
      ...['--context', '512', '--wait', '--json'],
    ])
    expect(made.stderr + made.stdout).toContain('"service"')
    expect(made.code).toBe(0)
    const answer = await ask()
    expect(answer).toMatchObject({ error: null, node: 'big' })
    expect(answer.text.length).toBeGreaterThan(0)
    const view = await pool()
    expect(view?.members.filter(({ state }) => state === 'in').length).toBeGreaterThan(1)
    expect(view?.members.every(({ wire }) => wire === null || wire === 'encrypted')).toBe(true)
  }, 300_000)

  test('a stranger who scans every port of every member finds nothing of the engine', async () => {
    for (const name of names) {
      const found = await scan(name)
      const ports = Object.keys(found)
      expect(ports.length).toBeLessThanOrEqual(1)
      // A TLS alert (0x15) at most: neither the engine's version nor a word of HTTP.
      for (const said of Object.values(found)) expect(said).toMatch(/^(15[0-9a-f]{0,16})?$/)
    }
    expect((await ask()).error).toBeNull()
  }, 300_000)

  test('it loses a member in the middle of an answer, and serves again by itself', async () => {
    const view = await pool()
    const victim = view?.members.find(({ rank }) => rank === 1)?.node ?? ''
    const [engine = 0] = engines(victim)
    expect(isAlive(engine)).toBe(true)
    const program = askLong()
    await program.until('begun')
    process.kill(engine, 'SIGKILL')
    const broken = (await program.answer) as Answer
    expect(broken.error).toMatch(/Error/)
    const startedAt = Date.now()
    await eventually('the pool to answer again', async () => (await ask()).error === null, 120_000)
    expect(Date.now() - startedAt).toBeLessThan(120_000)
    // The one that died has nothing left of the old group.
    expect(isAlive(engine)).toBe(false)
  }, 400_000)

  /** No goodbye and no reset comes over a cable that is pulled. The answer under way must be told all the same. */
  async function unpluggedInAnAnswer(victim: string, meanwhile: () => Promise<void>): Promise<void> {
    const before = names.flatMap(engines)
    const program = askLong()
    await program.until('begun')
    net.machines[victim]!.unplug()
    try {
      expect(((await program.answer) as Answer).error).toMatch(/Error/)
      // The member itself notices that it is alone, and frees its memory; so do the others.
      await eventually('every engine to end', () => before.every((pid) => !isAlive(pid)), 60_000)
      await meanwhile()
    } finally {
      net.machines[victim]!.plugIn()
    }
    await net.untilReady(victim)
    const whole = async () => (await pool())?.members.every(({ state }) => state === 'in') === true
    await eventually(
      'the pool to be whole',
      async () => (await whole()) && (await ask()).error === null,
      180_000,
    )
    // The same group goes on answering: it does not come and go.
    const after = names.flatMap(engines)
    for (let round = 0; round < 10; round++) {
      expect((await ask()).error).toBeNull()
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
    expect(names.flatMap(engines)).toEqual(after)
    await net.owner(['pool', 'retry', 'big'])
  }
  const member = async (rank: number) => (await pool())?.members.find((one) => one.rank === rank)?.node ?? ''

  test('it loses the cable of a worker in an answer: it goes on without, and takes it back when it is plugged in', async () => {
    const began = (await poolEvents(net)).length
    await unpluggedInAnAnswer(await member(1), async () => {
      await eventually('the two left to answer', async () => (await ask()).error === null, 120_000)
      expect((await pool())?.reason).toBe('1 of its 3 members is missing.')
    })
    const events = ['pool.left', 'pool.ready', 'pool.left', 'pool.ready']
    expect((await poolEvents(net)).slice(began)).toEqual(events)
  }, 600_000)

  test('it loses the cable of the head, which alone has the file: it says so, and heals once', async () => {
    const began = (await poolEvents(net)).length
    await unpluggedInAnAnswer(await member(0), async () => {
      await eventually('the reason', async () =>
        /which do(es)? not have|None of these/.test((await ask()).error ?? ''),
      )
    })
    expect((await poolEvents(net)).slice(began)).toEqual(['pool.left', 'pool.ready'])
  }, 600_000)

  test('when the pool is removed nothing of it is left on any machine', async () => {
    expect(engines('oak').length).toBeGreaterThan(0)
    const removed = await net.owner(['pool', 'remove', 'big'])
    expect(removed.code).toBe(0)
    await eventually('every engine to end', () => names.every((name) => engines(name).length === 0), 60_000)
    for (const name of names) expect(Object.keys(await scan(name))).toEqual([])
  }, 300_000)

  // Packets go and do not come back: everything looks well from one side.
  test('a route that leads one way only: what was begun is undone whole, and the pool does without until the way is back', async () => {
    const route = (verb: 'add' | 'del') =>
      net.machines.elm!.ip('route', verb, 'blackhole', net.machines.oak!.address)
    route('add')
    await net.owner([
      ...['pool', 'create', 'big', '--model', model, '--nodes', names.join(','), '--engine', 'llama-rpc'],
      ...['--context', '512', '--json'],
    ])
    const reasons = new Set<string>()
    await eventually(
      'the two that reach each other to answer',
      async () => {
        reasons.add((await pool())?.reason ?? '')
        return (await pool())?.service === 'group'
      },
      180_000,
    )
    expect([...reasons].join('\n')).toMatch(
      /The connection to elm could not be made: The peer at 10\.213\.9\.\d+/,
    )
    expect((await ask()).error).toBeNull()
    expect(engines('elm')).toEqual([])
    route('del')
    await net.owner(['pool', 'retry', 'big'])
    const whole = async () => (await pool())?.members.every(({ state }) => state === 'in') === true
    await eventually(
      'the pool to be whole',
      async () => (await whole()) && (await ask()).error === null,
      180_000,
    )
    await net.owner(['pool', 'remove', 'big'])
    await eventually('every engine to end', () => names.every((name) => engines(name).length === 0), 60_000)
  }, 600_000)
})
