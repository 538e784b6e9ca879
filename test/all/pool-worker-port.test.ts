/** A worker of llama.cpp whose port is taken before it gets there, by a real program: between the look for a free one and the binding lies time. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findLlamaServer, llamaServerPlaces } from '../../src/engines/llama-server/detect.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { startWorker } from '../../src/pool/llama-rpc/worker-process.ts'
import { descendants, eventually, isAlive } from '../support/cli.ts'
import { testHome } from '../support/engine-home.ts'

const home = testHome()
const folder = mkdtempSync(join(tmpdir(), 'holon-port-'))
let worker: string

beforeAll(async () => {
  await llamaServerDriver(home).install({ onProgress: () => undefined, signal: new AbortController().signal })
  worker = (await findLlamaServer(llamaServerPlaces(home), { rpc: true }))?.rpcWorker ?? ''
}, 30 * 60_000)
afterAll(() => {
  // They belong to nobody once the worker that they were started with has ended.
  for (const name of readdirSync(folder).filter((each) => each.startsWith('holder-')))
    process.kill(Number(readFileSync(join(folder, name), 'utf8')))
  home.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Takes the port that the worker is told, so many times, and then starts the worker on it. `-H HOST -p PORT …`. */
function thief(times: number): string {
  const path = join(folder, `thief-${times}`)
  const hold = `require('node:net').createServer().listen(Number(process.argv[1]), process.argv[2], () => console.log('held'))`
  const script = [
    '#!/bin/sh',
    `count=$(ls "${folder}" | grep -c "^taken-${times}-")`,
    `if [ "$count" -lt ${times} ]; then`,
    `  : > "${folder}/taken-${times}-$count"`,
    `  "${process.execPath}" -e "${hold}" "$4" "$2" > "${folder}/said-$$" &`,
    `  echo $! > "${folder}/holder-$$"`,
    `  until grep -q held "${folder}/said-$$"; do sleep 0.05; done`,
    'fi',
    `exec "${worker}" "$@"`,
  ]
  writeFileSync(path, script.join('\n'))
  chmodSync(path, 0o755)
  return path
}

const start = (times: number) =>
  startWorker({
    ...{ binary: thief(times), host: '127.0.0.1', devices: [], threads: 1, cache: null, rdma: false },
  })
const taken = (times: number) =>
  readdirSync(folder).filter((name) => name.startsWith(`taken-${times}-`)).length

test('the worker is started on another port, and what held the first is not its own', async () => {
  const { child, word } = await start(1)
  expect(taken(1)).toBe(1)
  expect(word.devices).toBe(1)
  await child.stop(500)
  expect(isAlive(child.enginePid)).toBe(false)
})

test('a port that is always taken is told, after a few tries, and no process is left', async () => {
  await expect(start(9)).rejects.toMatchObject({
    code: 'engine_unavailable',
    message: expect.stringMatching(/^The RPC worker of llama\.cpp does not start\. .*(socket|bind|address)/i),
  })
  expect(taken(9)).toBe(3)
  await eventually('no process to be left', () => descendants(process.pid).length === 0)
})
