import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { writeGguf } from '../../formats/gguf/write-gguf.ts'
import { FaultyFileServer, sha256 } from './faulty-file-server.ts'
import { readOrigin } from './model-origin.ts'
import { type PullContext, type PullProgress, pullModel } from './pull-model.ts'

let folder: string
let server: FaultyFileServer
let context: PullContext
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holon-pull-'))
  server = await FaultyFileServer.start()
  context = {
    modelsFolder: join(folder, 'models'),
    cwd: folder,
    clock: systemClock,
    huggingFace: { endpoint: server.origin, stallMs: 400, token: 'secret', tokenOrigin: server.origin },
    retries: { maxFailures: 4, backoffMs: 5, maxBackoffMs: 20 },
  }
})
afterEach(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const gguf = (weights: number, seed = 1): Uint8Array =>
  writeGguf({
    metadata: { 'general.architecture': 'llama' },
    tensors: [
      {
        name: 'w',
        shape: [weights],
        type: 'I8',
        data: Uint8Array.from({ length: weights }, (_, i) => i * seed),
      },
    ],
  })
const file = gguf(300_000)
const path = '/o/r/resolve/main/M-Q4_K_M.gguf'
const pull = (
  text = 'o/r',
  onProgress?: (progress: PullProgress) => void,
  signal = new AbortController().signal,
) => pullModel(text, context, { signal, onProgress })
const target = (): string => join(context.modelsFolder, 'hf', 'o', 'r', 'M-Q4_K_M.gguf')

/** The pull succeeded and the bytes are those of the source. */
async function expectWhole(bytes = file): Promise<void> {
  expect(sha256(await readFile(target()))).toBe(sha256(bytes))
  await expect(stat(`${target()}.part`)).rejects.toThrow()
  await expect(stat(`${target()}.lock`)).rejects.toThrow()
}

describe('pulling from a server that behaves', () => {
  beforeEach(() => void server.files.set(path, file))

  it('fetches, verifies, names, and remembers where it came from', async () => {
    const seen: PullProgress[] = []
    const result = await pull('o/r', (progress) => seen.push(progress))
    await expectWhole()
    expect(result).toEqual({
      path: target(),
      sizeBytes: file.length,
      alreadyHere: false,
      because: 'It is the only model of the repository.',
    })
    expect(seen.at(-1)).toMatchObject({
      bytes: file.length,
      totalBytes: file.length,
      fileNumber: 1,
      fileCount: 1,
    })
    expect(await readOrigin(target())).toMatchObject({ source: 'o/r/M-Q4_K_M.gguf', sha256: sha256(file) })
  })

  it('does not fetch again what is here, and does when the source has another version', async () => {
    await pull()
    server.seen.length = 0
    expect((await pull()).alreadyHere).toBe(true)
    expect(server.fileRequests).toEqual([])
    const newer = gguf(300_000, 3)
    server.files.set(path, newer)
    expect((await pull()).alreadyHere).toBe(false)
    await expectWhole(newer)
  })

  it('gives the token to the named host and to no other it redirects to', async () => {
    const cdn = await FaultyFileServer.start()
    cdn.files.set(path, file)
    server.redirectTo = cdn.origin
    await pull()
    expect(server.seen.map((request) => request.authorization)).toEqual(['Bearer secret', 'Bearer secret'])
    expect(cdn.seen.map((request) => request.authorization)).toEqual([undefined])
    await cdn.stop()
    await expectWhole()
  })

  it('pulls all files of a split, counting them together', async () => {
    const part = (index: number): Uint8Array =>
      writeGguf({
        metadata: {
          'split.no': { type: 'uint16', value: index },
          'split.count': { type: 'uint16', value: 2 },
        },
        tensors: [{ name: `w${index}`, shape: [1000], type: 'I8' }],
      })
    server.files.clear()
    server.files.set('/o/r/resolve/main/Q8_0/M-Q8_0-00001-of-00002.gguf', part(0))
    server.files.set('/o/r/resolve/main/Q8_0/M-Q8_0-00002-of-00002.gguf', part(1))
    const seen: PullProgress[] = []
    const result = await pull('o/r/Q8_0/M-Q8_0-00002-of-00002.gguf', (progress) => seen.push(progress))
    expect(result.path).toMatch(/M-Q8_0-00001-of-00002\.gguf$/)
    expect(result.sizeBytes).toBe(part(0).length + part(1).length)
    expect(seen.at(-1)).toMatchObject({ fileNumber: 2, fileCount: 2, bytes: result.sizeBytes })
  })

  it('shares one download between two pulls of a process, and the one that stays gets it', async () => {
    server.faults.push({ kind: 'slow', bytes: 100_000, pauseMs: 60 })
    const leaver = new AbortController()
    const first = pull('o/r', () => leaver.abort(new Error('gave up')), leaver.signal)
    const second = pull()
    await expect(first).rejects.toThrow('gave up')
    await second
    await expectWhole()
    expect(server.fileRequests.length).toBe(1)
  })

  it('ends the download when everyone has given up, and goes on there next time', async () => {
    server.faults.push({ kind: 'slow', bytes: 100_000, pauseMs: 50 })
    const leaver = new AbortController()
    const onProgress = ({ bytes }: PullProgress): void => {
      if (bytes > 0) leaver.abort(new Error('gave up'))
    }
    await expect(pull('o/r', onProgress, leaver.signal)).rejects.toThrow('gave up')
    const kept = (await stat(`${target()}.part`)).size
    expect(kept).toBeGreaterThan(0)
    await pull()
    await expectWhole()
    expect(server.fileRequests.at(-1)?.range).toBe(`bytes=${kept}-`)
  })

  it('refuses before the first byte when the disk is too small', async () => {
    context.freeBytes = async () => 100_000
    await expect(pull()).rejects.toMatchObject({
      code: 'disk_full',
      message: expect.stringMatching(/100 kB free/),
    })
    expect(server.fileRequests).toEqual([])
  })
})

describe('pulling from a server that misbehaves', () => {
  beforeEach(() => void server.files.set(path, file))

  it('goes on at the byte where it was cut, as often as needed', async () => {
    for (let cut = 0; cut < 5; cut++) server.faults.push({ kind: 'cut', after: 50_000 })
    const notes = new Set<string | null>()
    await pull('o/r', ({ note }) => notes.add(note))
    await expectWhole()
    expect(server.fileRequests.map((request) => request.range)).toEqual([
      undefined,
      ...[1, 2, 3, 4, 5].map((cut) => `bytes=${cut * 50_000}-`),
    ])
    expect([...notes].join()).toMatch(/broke off.*Trying again/)
  })

  it('leaves a stalled connection and goes on', async () => {
    server.faults.push({ kind: 'stall', after: 80_000 })
    await pull()
    await expectWhole()
    expect(server.fileRequests[1]).toMatchObject({ range: 'bytes=80000-', ifRange: expect.any(String) })
  })

  it('goes on in a later run, and hashes what was there before', async () => {
    for (let cut = 0; cut < 4; cut++) server.faults.push({ kind: 'cut', after: cut === 0 ? 70_000 : 0 })
    await expect(pull()).rejects.toMatchObject({
      code: 'download_failed',
      hint: expect.stringMatching(/goes on/),
    })
    const notes: (string | null)[] = []
    await pull('o/r', ({ note }) => notes.push(note))
    await expectWhole()
    expect(server.fileRequests.at(-1)?.range).toBe('bytes=70000-')
    expect(notes[0]).toContain('checking')
  })

  it('starts again when the file changed at the source', async () => {
    server.faults.push(
      { kind: 'cut', after: 70_000 },
      { kind: 'status', status: 503 },
      { kind: 'status', status: 503 },
    )
    server.faults.push({ kind: 'status', status: 503 }, { kind: 'status', status: 503 })
    await expect(pull()).rejects.toMatchObject({ code: 'download_failed' })
    server.faults.length = 0
    const newer = gguf(300_000, 7)
    server.files.set(path, newer)
    await pull()
    await expectWhole(newer)
  })

  it('starts again when the file changes under a plain URL, told by its ETag', async () => {
    const url = `${server.origin}/files/m.gguf`
    server.files.set('/files/m.gguf', file)
    server.faults.push(
      { kind: 'cut', after: 70_000 },
      { kind: 'status', status: 500 },
      { kind: 'status', status: 500 },
    )
    server.faults.push({ kind: 'status', status: 500 }, { kind: 'status', status: 500 })
    await expect(pull(url)).rejects.toMatchObject({ code: 'download_failed' })
    server.faults.length = 0
    const newer = gguf(200_000, 5)
    server.files.set('/files/m.gguf', newer)
    const result = await pull(url)
    expect(sha256(await readFile(result.path))).toBe(sha256(newer))
    expect(server.fileRequests.at(-1)).toMatchObject({ range: 'bytes=70000-' })
  })

  it('does not glue bytes together that nothing proves to belong together', async () => {
    const url = `${server.origin}/files/m.gguf`
    server.etags = false
    server.files.set('/files/m.gguf', file)
    server.faults.push({ kind: 'cut', after: 70_000 }, { kind: 'status', status: 404 })
    await expect(pull(url)).rejects.toMatchObject({ code: 'model_not_found' })
    server.files.set('/files/m.gguf', gguf(300_000, 5))
    const result = await pull(url)
    expect(sha256(await readFile(result.path))).toBe(sha256(gguf(300_000, 5)))
    expect(server.fileRequests.at(-1)?.range).toBeUndefined()
  })

  it('copes with a server that ignores ranges', async () => {
    server.faults.push({ kind: 'cut', after: 70_000 }, { kind: 'ignoreRange' })
    await pull()
    await expectWhole()
  })

  it('names the lie when the size differs from what was promised', async () => {
    server.faults.push({ kind: 'claim', size: file.length + 5000 })
    await expect(pull()).rejects.toMatchObject({ message: expect.stringMatching(/contradicts itself/) })
    server.faults.push({ kind: 'long', by: 5000 })
    await expect(pull()).rejects.toMatchObject({ message: expect.stringMatching(/sends more/) })
    await expect(stat(target())).rejects.toThrow()
  })

  it('finds out a Content-Length that promises more than there is', async () => {
    const url = `${server.origin}/files/m.gguf`
    server.files.set('/files/m.gguf', file)
    server.faults.push({ kind: 'short', by: 9000 })
    await expect(pull(url)).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringMatching(/has \d+ bytes where \d+ were promised/),
    })
  })

  it('sets wrong bytes aside, and the next run gets the right ones', async () => {
    server.faults.push({ kind: 'corrupt', at: 1234 })
    await expect(pull()).rejects.toMatchObject({ code: 'checksum_mismatch' })
    await expect(stat(target())).rejects.toThrow()
    expect((await stat(`${target()}.corrupt`)).size).toBe(file.length)
    await pull()
    await expectWhole()
    await expect(stat(`${target()}.corrupt`)).rejects.toThrow()
  })

  it('keeps no file that is no model', async () => {
    server.files.set('/x.gguf', new TextEncoder().encode('<!doctype html><title>Log in</title>'))
    await expect(pull(`${server.origin}/x.gguf`)).rejects.toMatchObject({ code: 'model_file_invalid' })
  })

  it('gives up after bounded tries, and at once when trying again cannot help', async () => {
    for (let i = 0; i < 9; i++) server.faults.push({ kind: 'status', status: 502 })
    await expect(pull()).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringMatching(/502/),
    })
    expect(server.fileRequests.length).toBe(4)
    server.faults.length = 0
    server.faults.push({ kind: 'status', status: 403 })
    await expect(pull()).rejects.toMatchObject({ hint: expect.stringMatching(/HF_TOKEN/) })
    expect(server.fileRequests.length).toBe(5)
  })

  it('says what to do about a name that nobody has', async () => {
    await expect(pull('o/none')).rejects.toMatchObject({
      code: 'model_not_found',
      hint: expect.stringMatching(/HF_TOKEN/),
    })
    await expect(pull('o/r/other.gguf')).rejects.toThrow(/has no file other.gguf. It has: M-Q4_K_M.gguf/)
    await server.stop()
    await expect(pull('o/r')).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringMatching(/refused/),
    })
    server = await FaultyFileServer.start()
  })
})

describe('pulling a file of this machine', () => {
  it('links it, through a symbolic link too, and knows it the second time', async () => {
    await writeFile(join(folder, 'blob'), file)
    await symlink(join(folder, 'blob'), join(folder, 'Mine.gguf'))
    const result = await pull('./Mine.gguf')
    expect(result).toMatchObject({
      path: join(context.modelsFolder, 'local', 'Mine.gguf'),
      alreadyHere: false,
    })
    expect((await stat(result.path)).ino).toBe((await stat(join(folder, 'blob'))).ino)
    expect((await pull('./Mine.gguf')).alreadyHere).toBe(true)
  })

  it('keeps two models of one name apart', async () => {
    await writeFile(join(folder, 'a.gguf'), file)
    const first = await pull('a.gguf')
    await rm(join(folder, 'a.gguf'))
    await writeFile(join(folder, 'a.gguf'), gguf(10))
    const second = await pull('a.gguf')
    expect(second.path).not.toBe(first.path)
  })

  it('refuses what is missing or no model, and leaves nothing behind', async () => {
    await expect(pull('./none.gguf')).rejects.toMatchObject({ code: 'model_file_missing' })
    await writeFile(join(folder, 'bad.gguf'), 'no model')
    await expect(pull('./bad.gguf')).rejects.toMatchObject({ code: 'model_file_invalid' })
    await expect(stat(join(context.modelsFolder, 'local', 'bad.gguf'))).rejects.toThrow()
  })
})
