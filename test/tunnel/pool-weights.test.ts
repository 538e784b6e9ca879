/** A model's files given and taken by a machine behind the tunnel: the hub only says who gets what from whom. */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createNodeServer, type NodeServer } from '../../src/agent/node-server/node-server.ts'
import { LocalPool } from '../../src/agent/pool/local-pool.ts'
import { systemClock } from '../../src/core/clock.ts'
import { homeAt } from '../../src/core/home.ts'
import { silentLog } from '../../src/core/log.ts'
import { RemotePool } from '../../src/hub/registry/remote-pool.ts'
import { distributeWeights } from '../../src/pool/weights/distribute.ts'
import type { TunnelDialer } from '../../src/tunnel/dial.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'
import { FakeNode } from '../hub/fake-node.ts'
import { eventually } from '../support/cli.ts'
import { FarWeights } from '../support/far-weights.ts'
import { writeTinySafetensors } from '../support/tiny-safetensors.ts'
import { dialTo, startHub, type TestHub } from './harness.ts'

const model = 'org/tiny'
const root = mkdtempSync(join(tmpdir(), 'holon-tunnel-weights-'))
const homeOf = (name: string) => homeAt(join(root, name))
const folderOf = (name: string) => join(homeOf(name).models, model)
const here = new FarWeights({ home: homeOf('here'), findModel: () => null, clock: systemClock })
let hub: TestHub
let dialer: TunnelDialer
let session: TunnelSession
let node: NodeServer
let oak: RemotePool

beforeAll(async () => {
  const pool = new LocalPool({
    ...{ home: homeOf('oak'), log: silentLog, clock: systemClock, changed: () => undefined },
    findModel: () => null,
    memory: () => ({ budgetBytes: 1000, usedBytes: 0 }),
  })
  Object.assign(pool, {
    weights: new FarWeights({ home: homeOf('oak'), findModel: () => null, clock: systemClock }),
  })
  hub = await startHub()
  node = createNodeServer({
    node: Object.assign(new FakeNode('http://127.0.0.1:1'), { pool }),
    keepCredential: async () => undefined,
    log: silentLog,
  })
  dialer = dialTo(hub, 'oak', { handler: node.handler })
  session = await hub.next()
  oak = new RemotePool(() => session, 'oak')
})
afterAll(async () => {
  await dialer.stop()
  await node.close()
  await hub.close()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

const never = new AbortController().signal
const host = '127.0.0.1'

test('takes a model from the hub’s machine, and gives it back to one that lost it', async () => {
  expect(await oak.weights.list(model, never)).toBeNull()
  const names = writeTinySafetensors(folderOf('here'), { layers: 6, layersPerShard: 2, layerBytes: 100_000 })
  const members = [
    { name: 'here', weights: here, host },
    { name: 'oak', weights: oak.weights, host },
  ]
  const order = {
    ...({ engine: 'mlx', strategy: 'tensor', model, members } as const),
    ...{ clock: systemClock, signal: never, onProgress: () => undefined },
  }
  await distributeWeights(order)
  const sums = (name: string) => names.map((file) => sha256(readFileSync(join(folderOf(name), file))))
  const sent = sums('here')
  expect(sums('oak')).toEqual(sent)
  rmSync(folderOf('here'), { recursive: true })
  await distributeWeights(order)
  expect(sums('here')).toEqual(sent)
})

test('what it serves ends when the hub lets go', async () => {
  const list = (await oak.weights.list(model, never))!
  const lasting = new AbortController()
  const secret = randomBytes(32).toString('base64url')
  const { port } = await oak.weights.serve({ list, host, secret }, lasting.signal)
  expect(await answers(port)).toBe(true)
  lasting.abort()
  await eventually('the port to close', async () => !(await answers(port)))
})

test('its refusals come with their code and what to do', async () => {
  const [file] = (await oak.weights.list(model, never))!.files
  const from = { host, port: 1, secret: randomBytes(32).toString('base64url') }
  const fetched = oak.weights.fetch(
    { model: 'org/other', file: file!, from },
    { signal: never, onProgress: () => undefined },
  )
  await expect(fetched).rejects.toMatchObject({ code: 'download_failed', hint: expect.any(String) })
  await expect(oak.weights.prepare(1e15)).rejects.toMatchObject({ code: 'disk_full' })
  expect(existsSync(join(homeOf('oak').models, 'org', 'other', file!.name))).toBe(false)
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
