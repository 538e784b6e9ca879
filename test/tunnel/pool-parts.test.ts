/** A machine's part in a pool, opened and ended through the tunnel: what the hub asks for is there, and gone when it lets go. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createNodeServer, type NodeServer } from '../../src/agent/node-server/node-server.ts'
import { LocalPool } from '../../src/agent/pool/local-pool.ts'
import { systemClock } from '../../src/core/clock.ts'
import { HolonError } from '../../src/core/errors.ts'
import { homeAt } from '../../src/core/home.ts'
import { silentLog } from '../../src/core/log.ts'
import { RemotePool } from '../../src/hub/registry/remote-pool.ts'
import type { PoolEngine } from '../../src/pool/pool-engine.ts'
import type { OpenPart, PartSpec } from '../../src/protocol/pool.ts'
import type { TunnelDialer } from '../../src/tunnel/dial.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'
import { FakeNode } from '../hub/fake-node.ts'
import { eventually } from '../support/cli.ts'
import { dialTo, startHub, type TestHub } from './harness.ts'

const { signal } = new AbortController()
const root = mkdtempSync(join(tmpdir(), 'holon-parts-'))
/** Heads of parts that are open: real servers, each of which answers with its pool's name. */
const heads = new Map<string, { server: Server; die(sentence: string): void; leases: number }>()

/** An engine of one process: its head is an HTTP server in this one. */
const engine: PoolEngine = {
  id: 'llama-rpc',
  title: 'test',
  concurrent: true,
  layout: () => [],
  inspect: async (host, model) => ({
    ...{ whyNot: null, build: 'test 1', devices: ['CPU'], diskFreeBytes: 1, interfaces: [] },
    ...{ modelPath: host.findModel(model)?.path ?? null, modelBytes: null, memory: host.memory() },
  }),
  open: async (spec) => {
    if (spec.settings.fault === 'open') throw new HolonError('engine_unavailable', 'It is not installed.')
    const server = createServer((_, response) => response.end(`the head of ${spec.pool}`))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    let die: (sentence: string) => void = () => undefined
    const died = new Promise<string>((resolve) => {
      die = resolve
    })
    const head = {
      ...{ server, die, leases: 0 },
      release: () => {
        head.leases -= 1
      },
    }
    heads.set(spec.pool, head)
    const { port } = server.address() as { port: number }
    return {
      listening: { host: '127.0.0.1', port },
      died,
      start: async (peers, { onProgress, signal: startSignal }) => {
        onProgress?.({ phase: `joining ${peers.length}`, percent: 50, etaS: null })
        if (spec.settings.fault === 'start')
          throw new HolonError('model_too_big', 'It does not fit.', { hint: 'Take less.' })
        if (spec.settings.fault === 'hang') await once(startSignal, 'abort')
        startSignal.throwIfAborted()
        return {
          memoryBytes: 1234,
          lease: () => {
            head.leases += 1
            return {
              ...{ model: spec.model, engine: 'test', origin: `http://127.0.0.1:${port}`, headers: {} },
              ...{ parameters: new Set(['stop']), parallel: 3, died, release: () => head.release() },
            }
          },
        }
      },
      stop: async () => {
        heads.delete(spec.pool)
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  },
}

const local = new LocalPool({
  ...{ home: homeAt(root), log: silentLog, clock: systemClock, changed: () => undefined, engines: [engine] },
  findModel: (id) => (id === 'big' ? { path: join(root, 'big.gguf'), sizeBytes: 5 } : null),
  memory: () => ({ budgetBytes: 1000, usedBytes: 0 }),
})
let hub: TestHub
let dialer: TunnelDialer
let session: TunnelSession
let node: NodeServer
let remote: RemotePool
const open: OpenPart[] = []
beforeAll(async () => {
  hub = await startHub()
  node = createNodeServer({
    node: Object.assign(new FakeNode('http://127.0.0.1:1'), { pool: local }),
    keepCredential: async () => undefined,
    log: silentLog,
  })
  dialer = dialTo(hub, 'oak', { handler: node.handler })
  session = await hub.next()
  remote = new RemotePool(() => session, 'oak')
})
afterEach(async () => {
  for (const part of open.splice(0)) await part.stop()
})
afterAll(async () => {
  await dialer.stop()
  await hub.close()
  await node.close()
  await local.close()
  rmSync(root, { recursive: true })
})

const specOf = (pool: string, settings: Record<string, unknown> = {}): PartSpec => ({
  ...{ pool, launch: 'l1', engine: 'llama-rpc', rank: 0, size: 2, model: 'big', settings },
  wire: {
    host: '127.0.0.1',
    mode: 'encrypted',
    peers: [{ rank: 1, secret: randomBytes(32).toString('base64url') }],
  },
})
async function opened(spec: PartSpec): Promise<OpenPart> {
  const part = await remote.open(spec, signal)
  open.push(part)
  return part
}

describe('through the tunnel', () => {
  test('a machine says what it brings', async () => {
    const facts = await remote.inspect({ engine: 'llama-rpc', model: 'big' })
    expect(facts).toMatchObject({
      build: 'test 1',
      modelPath: join(root, 'big.gguf'),
      memory: { budgetBytes: 1000 },
    })
    await expect(remote.inspect({ engine: 'mlx', model: 'big' })).rejects.toMatchObject({
      code: 'pool_impossible',
    })
  })

  test('a part listens, tells its progress, answers as its own engine would, and counts each request', async () => {
    const part = await opened(specOf('a'))
    expect(part.listening?.host).toBe('127.0.0.1')
    const phases: string[] = []
    const running = await part.start([{ rank: 1, host: '127.0.0.2', port: 5 }], {
      signal,
      onProgress: ({ phase }) => phases.push(phase),
    })
    expect([phases, running.memoryBytes]).toEqual([['joining 1'], 1234])
    const lease = running.lease!()
    expect(lease).toMatchObject({ model: 'big', engine: 'test', parallel: 3 })
    const { origin, headers, dispatcher } = lease
    const answer = await dispatcher!.request({ origin, path: '/v1/x', method: 'GET', headers })
    expect(await answer.body.text()).toBe('the head of a')
    lease.release()
    await eventually('the request to be let go of', () => heads.get('a')?.leases === 0)
    expect(local.running()).toMatchObject([{ id: 'a, part 1 of 2', state: 'ready', memoryBytes: 1234 }])
    await part.stop()
    expect([heads.size, local.running()]).toEqual([0, []])
    const late = await dispatcher!.request({ origin, path: '/v1/x', method: 'GET', headers })
    expect(late.statusCode).toBe(404)
  })

  test('errors arrive as they were, with what to do', async () => {
    await expect(opened(specOf('b', { fault: 'open' }))).rejects.toMatchObject({
      ...{ code: 'engine_unavailable', message: 'It is not installed.' },
    })
    const part = await opened(specOf('b', { fault: 'start' }))
    await expect(part.start([], { signal })).rejects.toMatchObject({
      code: 'model_too_big',
      hint: 'Take less.',
    })
    await eventually('the part to be gone', () => heads.size === 0)
    await expect(opened(specOf('b', { limitBytes: 2000 }))).rejects.toMatchObject({ code: 'model_too_big' })
    await expect(opened({ ...specOf('b'), rank: -1 })).rejects.toThrow()
  })

  test('a part that dies says why, and is gone', async () => {
    const part = await opened(specOf('c'))
    const { lease } = await part.start([], { signal })
    heads.get('c')?.die('The engine gave up.')
    expect(await part.died).toBe('The engine gave up.')
    expect(() => lease!()).toThrow('The engine gave up.')
    await eventually('the part to be gone', () => heads.size === 0)
  })

  test('a start that is given up ends the part before it says so', async () => {
    const part = await opened(specOf('d', { fault: 'hang' }))
    const giveUp = new AbortController()
    const starting = part.start([], { signal: giveUp.signal })
    await eventually('it to begin', () => heads.size === 1)
    giveUp.abort(new Error('enough'))
    await expect(starting).rejects.toThrow('enough')
    expect(heads.size).toBe(0)
  })

  test('the way to another machine is measured on the hub’s word', async () => {
    const secret = randomBytes(32).toString('base64url')
    const { port } = await remote.awaitProbe({ host: '127.0.0.4', secret }, signal)
    const told = await remote.probe({ host: '127.0.0.4', port, secret }, signal)
    expect(told.via.kind).toBe('loopback')
    await expect(remote.awaitProbe({ host: '203.0.113.4', secret }, signal)).rejects.toMatchObject({
      code: 'pool_wire_failed',
    })
    await expect(remote.probe({ host: '127.0.0.4', port: 1, secret }, signal)).rejects.toMatchObject({
      code: 'link_probe_failed',
    })
  })

  // Last: the tunnel does not come back.
  test('a hub that vanishes leaves no part behind', async () => {
    const part = await remote.open(specOf('z'), signal)
    await part.start([], { signal })
    session.close(1001, 'the hub stops')
    expect(await part.died).toBe('The connection to node oak was lost.')
    await eventually('the part to be gone', () => heads.size === 0 && local.running().length === 0)
  })
})
