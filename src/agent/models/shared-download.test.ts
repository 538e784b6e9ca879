import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { childEntry } from '../../core/child-entry.ts'
import { systemClock } from '../../core/clock.ts'
import { writeGguf } from '../../formats/gguf/write-gguf.ts'
import { FaultyFileServer, sha256 } from './faulty-file-server.ts'
import { pullModel } from './pull-model.ts'

let folder: string
let server: FaultyFileServer
const file = writeGguf({ metadata: { a: 1 }, tensors: [{ name: 'w', shape: [500_000], type: 'I8' }] })
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holon-share-'))
  server = await FaultyFileServer.start()
  server.files.set('/o/r/resolve/main/M-Q4_0.gguf', file)
})
afterEach(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})
const target = (): string => join(folder, 'hf', 'o', 'r', 'M-Q4_0.gguf')
const context = () => ({
  modelsFolder: folder,
  cwd: folder,
  clock: systemClock,
  huggingFace: { endpoint: server.origin, stallMs: 5000 },
})

/** Another Holon process that pulls the same model. */
function otherProcess() {
  const entry = pathToFileURL(childEntry(import.meta.url, './pull-model.ts')).href
  const clock = pathToFileURL(childEntry(import.meta.url, '../../core/clock.ts')).href
  const program = `
    const { pullModel } = await import(${JSON.stringify(entry)})
    const { systemClock } = await import(${JSON.stringify(clock)})
    const context = { ...${JSON.stringify(context())}, clock: systemClock }
    let told = false
    const onProgress = ({ bytes }) => { if (bytes > 0 && !told) { told = true; console.log('started') } }
    await pullModel('o/r', context, { signal: new AbortController().signal, onProgress })
    console.log('done')`
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
const pull = (onNote: (note: string | null) => void) =>
  pullModel('o/r', context(), {
    signal: new AbortController().signal,
    onProgress: ({ note }) => onNote(note),
  })

it('follows the download of another process and fetches nothing itself', async () => {
  server.faults.push({ kind: 'slow', bytes: 100_000, pauseMs: 200 })
  const other = otherProcess()
  await once(other.stdout, 'data')
  const notes = new Set<string | null>()
  await pull((note) => notes.add(note))
  expect([...notes]).toContain('another Holon process is downloading this file')
  expect(sha256(await readFile(target()))).toBe(sha256(file))
  expect(server.fileRequests.length).toBe(1)
  if (other.exitCode === null) await once(other, 'exit')
})

it('takes over where a killed process stopped', async () => {
  server.faults.push({ kind: 'slow', bytes: 100_000, pauseMs: 600 })
  const other = otherProcess()
  await once(other.stdout, 'data')
  const waiting = pull(() => undefined)
  other.kill('SIGKILL')
  await waiting
  expect(sha256(await readFile(target()))).toBe(sha256(file))
  expect(server.fileRequests[1]?.range).toMatch(/^bytes=[1-9]\d*-$/)
  await expect(stat(`${target()}.lock`)).rejects.toThrow()
})
