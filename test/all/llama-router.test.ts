/** A llama-server in router mode that was already there, for real: three models, room for two. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { findLlamaServer, llamaServerPlaces } from '../../src/engines/llama-server/detect.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { answersLikeAny } from '../engines/attached-answers.ts'
import { type AttachedStand, attach, type Program, startProgram } from '../engines/attached-stand.ts'
import { testHome } from '../support/engine-home.ts'
import { writeSayingGguf } from '../support/saying-gguf.ts'

const folder = mkdtempSync(join(tmpdir(), 'holon-router-'))
const home = testHome()
const open: (() => Promise<void>)[] = []
let router: Program
let holon: AttachedStand
let binary = ''

async function startServer(...args: string[]): Promise<Program> {
  const program = await startProgram(
    binary,
    ['--host', '127.0.0.1', '--port', '0', '-c', '8192', '-np', '2', ...args],
    /listening on http:\/\/127\.0\.0\.1:(\d+)/,
  )
  open.push(program.stop)
  return program
}

beforeAll(async () => {
  await llamaServerDriver(home).install({
    onProgress: () => undefined,
    signal: new AbortController().signal,
  })
  binary = (await findLlamaServer(llamaServerPlaces(home)))?.path ?? ''
  const models = join(folder, 'models')
  mkdirSync(models)
  for (const [seed, name] of ['one', 'two', 'alien'].entries()) {
    const architecture = name === 'alien' ? 'nobody-knows-me' : 'llama'
    writeRandomGguf(join(models, `${name}.gguf`), { seed, context: 2048, architecture })
  }
  writeSayingGguf(join(models, 'endless.gguf'), ['tick ', 'tock '], {
    endless: true,
    width: 1024,
    layers: 12,
  })
  router = await startServer('--models-dir', models, '--models-max', '2', '--api-key', 'sesame')
  holon = await attach('llama-router', router.url, { key: 'sesame' })
  open.push(holon.close)
}, 20 * 60_000)
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close()
  home.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Asks as clients do, which come again while a model loads; the status of the answer. */
async function asked(model: string): Promise<number> {
  for (;;) {
    const { status } = await holon.chat(model, 'Hello', { max_tokens: 2 })
    if (status !== 503) return status
  }
}

const running = (): string[] =>
  holon.agent
    .ps()
    .map(({ id }) => id)
    .sort()

describe('a real llama-server in router mode', () => {
  test('is known with its version; all its models are listed, and none is loaded unasked', async () => {
    const found = await holon.engine.detect(AbortSignal.timeout(5_000))
    expect(found).toMatchObject({ id: 'llama-router', available: true, url: router.url, whyNot: null })
    expect(found.version).toMatch(/\w/)
    expect(found.models.sort()).toEqual(['alien', 'endless', 'one', 'two'])
    expect(holon.model('one')).toMatchObject({ state: 'disk', engine: 'llama-router', format: 'gguf' })
    expect(running()).toEqual([])
  })

  test('loads when asked, with progress, and tells size, context and answers at once', async () => {
    const phases: string[] = []
    const percents: (number | null)[] = []
    const lease = await holon.agent.acquire('one', {
      signal: new AbortController().signal,
      onProgress: ({ phase, percent }) => {
        phases.push(phase)
        percents.push(percent)
      },
    })
    lease.release()
    expect(phases).toContain('reading weights')
    expect(percents).toContain(100)
    const [one] = holon.agent.ps()
    expect(one).toMatchObject({ id: 'one', state: 'ready', contextTokens: 2048, parallel: 2, active: 0 })
    expect(one?.memoryBytes).toBeGreaterThan(10_000)
    expect(holon.model('one')?.contextMax).toBe(2048)
  })

  answersLikeAny(() => ({ holon, model: 'one' }))

  test('unloads when asked, and knows the size of what it has unloaded', async () => {
    await holon.agent.unload('one')
    expect(running()).toEqual([])
    expect(holon.model('one')).toMatchObject({ state: 'disk' })
    expect(holon.model('one')?.sizeBytes).toBeGreaterThan(10_000)
    await holon.agent.unload('one')
  })

  test('a model that cannot be loaded says why, and the next one is served', async () => {
    const failed = await holon.agent.load('alien', {}).catch((thrown) => thrown)
    expect(failed).toMatchObject({ code: 'model_load_failed' })
    expect(failed.message).toMatch(/could not load alien: .*code 1/)
    expect(holon.model('alien')).toMatchObject({ state: 'failed', failure: failed.message })
    expect(await asked('two')).toBe(200)
  })

  test('a full router gives up what is idle and never what is answering', async () => {
    // Some 4,000 tokens, and asked for the others when the first is there: what comes before tells that it loads.
    const answering = await holon.chat('endless', 'Go on.', { stream: true })
    const reader = answering.body!.getReader()
    for (let text = ''; !text.includes('tick'); )
      text += Buffer.from((await reader.read()).value ?? []).toString()
    expect(await asked('two')).toBe(200)
    expect(await asked('one')).toBe(200)
    await holon.agent.refresh()
    expect(running()).toEqual(['endless', 'one'])
    expect(holon.agent.ps().find(({ id }) => id === 'endless')).toMatchObject({ active: 1 })
    expect((await reader.read()).done).toBe(false)
    await reader.cancel()
  })

  test('takes no context of ours, and says what to do', async () => {
    await expect(holon.agent.load('one', { contextTokens: 512 })).rejects.toMatchObject({ code: 'usage' })
  })

  test('that ends is noticed; its models go to failed with the reason', async () => {
    await router.stop()
    await holon.agent.refresh()
    expect(holon.model('one')).toMatchObject({ state: 'failed' })
    expect(holon.model('one')?.failure).toMatch(/does not answer/)
  })
})

test('a llama-server with a model of its own is no router, and is told how to be attached', async () => {
  const single = await startServer('-m', join(folder, 'models', 'one.gguf'))
  const wrong = await attach('llama-router', single.url, { models: ['one'] })
  open.push(wrong.close)
  expect(wrong.model('one')).toMatchObject({ state: 'failed' })
  expect(wrong.model('one')?.failure).toMatch(/no llama-server in router mode/)
})
