/** The loads under which Node's default limits failed (docs/decisions/0006-tunnel.md), against a node in its own process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childEntry } from '../../src/core/child-entry.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'
import { startHub, type TestHub, until } from './harness.ts'

const program = childEntry(import.meta.url, '../../src/bench/tunnel-node.ts')
let hub: TestHub
let child: ChildProcess
let session: TunnelSession

beforeAll(async () => {
  hub = await startHub()
  child = spawn(process.execPath, [program, hub.url, 'm1'], { stdio: ['ignore', 'ignore', 'inherit'] })
  session = await hub.next()
})
afterAll(async () => {
  child.kill('SIGKILL')
  await hub.close()
})

const get = (path: string, more: { signal?: AbortSignal } = {}): Promise<Dispatcher.ResponseData> =>
  session.request({ path, method: 'GET', ...more })

async function nodeStats(): Promise<{ cancelled: number }> {
  return (await (await get('/stats')).body.json()) as { cancelled: number }
}

async function cancelHalfWay(path: string, times: number): Promise<void> {
  for (let round = 0; round < times / 50; round++) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const abort = new AbortController()
        const answer = await get(path, { signal: abort.signal })
        abort.abort()
        await expect(answer.body.text()).rejects.toThrow()
      }),
    )
  }
}

test('900 answers cancelled half way, then an upload of 32 MB arrives as it was sent', async () => {
  await cancelHalfWay('/hang', 450)
  await expect.poll(async () => (await nodeStats()).cancelled).toBe(450)
  // With bytes waiting to be sent: what Node never takes off its memory account again.
  await cancelHalfWay('/bulk?bytes=100000000', 450)

  const pieces = Array.from({ length: 500 }, (_, i) => Buffer.alloc(64_000, `piece ${i}`))
  const sha256 = pieces.reduce((hash, piece) => hash.update(piece), createHash('sha256')).digest('hex')
  const answer = await session.request({
    path: '/hash',
    method: 'POST',
    body: Readable.from(pieces, { objectMode: false }),
  })
  expect(await answer.body.json()).toEqual({ bytes: 32_000_000, sha256 })
})

test('a reader who takes nothing of 100 MB holds up none of 50 live streams and costs one window', async () => {
  const slow = await get('/bulk?bytes=100000000')
  await until(() => slow.body.readableLength > 0, 'the first bytes of the bulk arrived')
  const before = session.stats().bytesIn
  const live = await Promise.all(Array.from({ length: 50 }, () => get('/sse?chunks=50&everyMs=2')))
  const texts = await Promise.all(live.map((each) => each.body.text()))
  for (const text of texts) expect(text.match(/data: /g)).toHaveLength(51)
  // 50 answers of some 12 kB, and of the bulk what its window and undici's buffer let through.
  expect(session.stats().bytesIn - before).toBeLessThan(50 * 15_000 + 1_000_000)

  let bytes = 0
  for await (const piece of slow.body) bytes += (piece as Buffer).length
  expect(bytes).toBe(100_000_000)
})

test('when the node is killed, 50 open answers fail at once and say why', async () => {
  const open = await Promise.all(Array.from({ length: 50 }, () => get('/hang')))
  const ends = open.map((each) => each.body.text().then(String, (error: unknown) => error))
  child.kill('SIGKILL')
  const end = await session.closed
  expect(end.by).toBe('peer')
  for (const error of await Promise.all(ends)) {
    expect(error).toMatchObject({ code: 'tunnel_lost', message: expect.stringContaining('node m1') })
  }
  expect(session.stats().openStreams).toBe(0)
  await expect(get('/json')).rejects.toMatchObject({ code: 'tunnel_lost' })
  expect(hub.acceptor.session('m1')).toBeUndefined()
})
