/** Real files over real TLS between members of one machine; the faults are a server that cuts, stalls and lies. */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FarWeights } from '../../../test/support/far-weights.ts'
import { writeTinySafetensors } from '../../../test/support/tiny-safetensors.ts'
import { systemClock } from '../../core/clock.ts'
import { homeAt } from '../../core/home.ts'
import { distributeWeights, type WeightNode } from '../../pool/weights/distribute.ts'
import { findModelFolder } from '../../pool/weights/model-folder.ts'
import { listenSecure } from '../../pool/wire/listen.ts'
import { readSecret } from '../../pool/wire/secret.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { WeightFile, WeightSource } from '../../protocol/pool-weights.ts'
import { LocalWeights } from './local-weights.ts'
import { weightsIdentity } from './serve-files.ts'

const model = 'org/tiny'
let root: string
let ends: AbortController
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holon-pool-weights-'))
  ends = new AbortController()
})
afterEach(() => {
  ends.abort()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

const homeOf = (name: string) => homeAt(join(root, name))
function member(
  name: string,
  more: { freeBytes?: () => Promise<number> } = {},
): WeightNode & { weights: LocalWeights } {
  const options = { home: homeOf(name), findModel: () => null, clock: systemClock, stallMs: 300, ...more }
  return { name, host: '127.0.0.1', weights: new FarWeights(options) }
}
const folderOf = (name: string) => join(homeOf(name).models, model)
const give = (name: string, options?: Parameters<typeof writeTinySafetensors>[1]) =>
  writeTinySafetensors(folderOf(name), options)

async function distribute(
  members: readonly WeightNode[],
  over: Partial<Parameters<typeof distributeWeights>[0]> = {},
): Promise<LoadProgress[]> {
  const seen: LoadProgress[] = []
  await distributeWeights({
    engine: 'mlx',
    strategy: 'tensor',
    model,
    members,
    clock: systemClock,
    signal: ends.signal,
    onProgress: (progress) => void seen.push(progress),
    ...over,
  })
  return seen
}

describe('a pool', () => {
  test('brings every file to everyone, with one progress, and a second time nothing', async () => {
    const names = give('a', { layers: 8, layersPerShard: 2, layerBytes: 200_000 })
    const all = ['a', 'b', 'c'].map((name) => member(name))
    const seen = await distribute(all)
    for (const receiver of ['b', 'c']) {
      for (const name of names) {
        const sent = readFileSync(join(folderOf(receiver), name))
        expect(sent.equals(readFileSync(join(folderOf('a'), name)))).toBe(true)
      }
      expect((await findModelFolder(model, { home: homeOf(receiver), findModel: () => null }))?.path).toBe(
        folderOf(receiver),
      )
    }
    expect(seen.at(-1)).toMatchObject({ phase: 'sending weights to the members', percent: 100 })
    const percents = seen.flatMap(({ percent }) => percent ?? [])
    expect(Math.max(...percents)).toBeLessThanOrEqual(100)
    expect(await distribute(all)).toEqual([{ phase: 'looking for the weights', percent: null, etaS: null }])
  })

  test('brings a stage of a pipeline only its shards', async () => {
    give('a', { layers: 8, layersPerShard: 2 })
    await distribute([member('a'), member('b')], { strategy: 'pipeline' })
    const has = (name: string) => existsSync(join(folderOf('b'), name))
    // Rank 1 has the first four layers.
    expect(
      ['model-1-of-4', 'model-2-of-4', 'model-3-of-4', 'model-4-of-4'].map((name) =>
        has(`${name}.safetensors`),
      ),
    ).toEqual([true, true, false, false])
    expect(has('config.json')).toBe(true)
  })

  test('takes it from a machine that is no member, such as the hub', async () => {
    give('hub')
    await distribute([member('a'), member('b')], { others: [member('hub')] })
    expect(existsSync(join(folderOf('b'), 'model.safetensors'))).toBe(true)
  })

  test('sends nothing to one that sees the same folder', async () => {
    const shared = join(root, 'nas', 'tiny')
    writeTinySafetensors(shared)
    const sees = new LocalWeights({ home: homeOf('a'), findModel: () => null, clock: systemClock })
    const holder = new LocalWeights({
      home: homeOf('holder'),
      findModel: () => ({ path: shared, sizeBytes: 1 }),
      clock: systemClock,
    })
    const seen = await distribute([
      { name: 'holder', host: '127.0.0.1', weights: holder },
      { name: 'a', host: '127.0.0.1', weights: sees },
    ])
    expect(seen).toHaveLength(1)
    expect((await findModelFolder(model, { home: homeOf('a'), findModel: () => null }))?.path).toBe(
      folderOf('a'),
    )
  })

  test('is refused before a byte is sent when a disk is too small', async () => {
    give('a')
    const small = member('b', { freeBytes: async () => 1000 })
    await expect(distribute([member('a'), small])).rejects.toMatchObject({ code: 'disk_full' })
    expect(existsSync(folderOf('b'))).toBe(false)
  })

  test('is refused when nobody has the model whole', async () => {
    give('a', { layers: 4, layersPerShard: 2 })
    rmSync(join(folderOf('a'), 'model-2-of-2.safetensors'))
    await expect(distribute([member('a'), member('b')])).rejects.toMatchObject({ code: 'model_file_missing' })
  })
})

describe('a source', () => {
  const bytes = randomBytes(400_000)
  const good: WeightFile = {
    name: 'model.safetensors',
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    layers: [],
    common: true,
  }

  /** A member whose server does what the test says, behind the same TLS. */
  async function source(
    answer: (request: IncomingMessage, response: ServerResponse, nth: number) => void,
  ): Promise<WeightSource & { ranges: (string | undefined)[] }> {
    const secret = randomBytes(32).toString('base64url')
    const ranges: (string | undefined)[] = []
    const server = createServer((request, response) => {
      ranges.push(request.headers.range)
      answer(request, response, ranges.length)
    })
    const { port, close } = await listenSecure({
      host: '127.0.0.1',
      handshakeMs: 2_000,
      secretOf: (identity) => (identity === weightsIdentity ? readSecret(secret) : null),
      onPeer: (socket) => void server.emit('connection', socket),
    })
    ends.signal.addEventListener('abort', close)
    return { host: '127.0.0.1', port, secret, ranges }
  }

  function whole(request: IncomingMessage, response: ServerResponse, body = bytes): void {
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const headers = { etag: `"${good.sha256}"`, 'content-length': body.length - start }
    const range = { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? { ...headers, ...range } : headers)
    response.end(body.subarray(start))
  }

  const half = (response: ServerResponse): void => {
    response.writeHead(200, { etag: `"${good.sha256}"`, 'content-length': bytes.length })
    response.write(bytes.subarray(0, 200_000))
  }
  const get = (from: WeightSource, signal = ends.signal) =>
    member('b').weights.fetch({ model, file: good, from }, { signal, onProgress: () => undefined })
  const target = () => join(folderOf('b'), good.name)

  test('that cuts is gone on with at the byte where it stopped', async () => {
    const from = await source((request, response, nth) => {
      if (nth > 1) return whole(request, response)
      half(response)
      setTimeout(() => response.destroy(), 50)
    })
    await get(from)
    expect(readFileSync(target()).equals(bytes)).toBe(true)
    expect(from.ranges[0]).toBeUndefined()
    expect(Number(/^bytes=(\d+)-$/.exec(from.ranges[1] ?? '')?.[1])).toBeGreaterThan(0)
  })

  test('that stalls is left after a while and asked again', async () => {
    const from = await source((request, response, nth) => {
      if (nth > 1) whole(request, response)
      else half(response)
    })
    await get(from)
    expect(readFileSync(target()).equals(bytes)).toBe(true)
  })

  test('that lies is found out by the checksum, and its bytes do not get the name', async () => {
    const wrong = Buffer.from(bytes)
    wrong[12_345] = wrong[12_345]! ^ 1
    const from = await source((request, response) => whole(request, response, wrong))
    await expect(get(from)).rejects.toMatchObject({ code: 'checksum_mismatch' })
    expect(existsSync(target())).toBe(false)
  })

  test('that offers another size is refused', async () => {
    const from = await source((request, response) => whole(request, response, bytes.subarray(0, 1000)))
    await expect(get(from)).rejects.toMatchObject({ code: 'download_failed' })
    expect(existsSync(target())).toBe(false)
  })

  test('gives nothing to one who does not know the secret, and no file that is not on its list', async () => {
    give('a')
    const { weights } = member('a')
    const list = await weights.list(model, ends.signal)
    const secret = randomBytes(32).toString('base64url')
    const { port } = await weights.serve({ list: list!, host: '127.0.0.1', secret }, ends.signal)
    const from = { host: '127.0.0.1', port, secret }
    await expect(get({ ...from, secret: randomBytes(32).toString('base64url') })).rejects.toMatchObject({
      code: 'download_failed',
    })
    writeFileSync(join(folderOf('a'), 'diary.txt'), 'secret')
    const other = { ...good, name: 'diary.txt' }
    await expect(
      member('b').weights.fetch(
        { model, file: other, from },
        { signal: ends.signal, onProgress: () => undefined },
      ),
    ).rejects.toMatchObject({ code: 'model_not_found' })
  })

  test('that lies is left for one that does not', async () => {
    give('a')
    give('liar')
    const liar = member('liar')
    const list = (await liar.weights.list(model, ends.signal))!
    // Its disk changed after it was asked for its list: same size, other bytes.
    const path = join(folderOf('liar'), 'model.safetensors')
    const changed = readFileSync(path)
    changed[changed.length - 1] = changed[changed.length - 1]! ^ 1
    mkdirSync(folderOf('liar'), { recursive: true })
    writeFileSync(path, changed)
    const lying: WeightNode = {
      ...liar,
      weights: Object.assign(Object.create(liar.weights), {
        has: async () => list.files.map(({ name }) => name),
        list: async () => list,
      }),
    }
    await distribute([lying, member('b'), member('a')])
    const got = readFileSync(join(folderOf('b'), 'model.safetensors'))
    expect(got.equals(readFileSync(join(folderOf('a'), 'model.safetensors')))).toBe(true)
  })
})
