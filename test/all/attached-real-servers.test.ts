/** Servers that were already there, for real: a llama-server behind its OpenAI address, and mlx_lm.server. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { findLlamaServer, llamaServerPlaces } from '../../src/engines/llama-server/detect.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { answersLikeAny } from '../engines/attached-answers.ts'
import { type AttachedStand, attach, type Program, startProgram } from '../engines/attached-stand.ts'
import { testHome } from '../support/engine-home.ts'
import { mlxPrograms } from './mlx-venv.ts'

const folder = mkdtempSync(join(tmpdir(), 'holon-real-'))
const home = testHome()
const open: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close()
  home.remove()
  rmSync(folder, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function stand(...args: Parameters<typeof attach>): Promise<AttachedStand> {
  const holon = await attach(...args)
  open.push(holon.close)
  return holon
}

describe('a real llama-server at an OpenAI address', () => {
  let holon: AttachedStand
  beforeAll(async () => {
    await llamaServerDriver(home).install({
      onProgress: () => undefined,
      signal: new AbortController().signal,
    })
    const binary = await findLlamaServer(llamaServerPlaces(home))
    const model = join(folder, 'tiny.gguf')
    writeRandomGguf(model)
    const args = [
      '-m',
      model,
      '--host',
      '127.0.0.1',
      '--port',
      '0',
      '-c',
      '2048',
      '-np',
      '2',
      '--alias',
      'org/tiny',
    ]
    const server = await startProgram(
      binary!.path,
      [...args, '--api-key', 'sesame'],
      /listening on http:\/\/127\.0\.0\.1:(\d+)/,
    )
    open.push(server.stop)
    holon = await stand('openai', server.url, { key: 'sesame', models: ['org/tiny'] })
  })
  answersLikeAny(() => ({ holon, model: 'org/tiny' }))

  test('tells size, context and speed, which are passed on', () => {
    expect(holon.model('org/tiny')?.sizeBytes).toBeGreaterThan(0)
    expect(holon.model('org/tiny')?.contextMax).toBeGreaterThan(0)
    expect(holon.agent.ps()[0]?.decodeTokS).toBeGreaterThan(0)
  })

  test('with a wrong key it is refused with what to do', async () => {
    const wrong = await stand('openai', holon.engine.url, { key: 'mellon', models: ['org/tiny'] })
    await wrong.until('the proof to fail', () => wrong.model('org/tiny')?.state === 'failed')
    const response = await wrong.chat('org/tiny', 'Hello')
    expect(response.status).toBeGreaterThanOrEqual(500)
    expect(await response.json()).toMatchObject({ error: { source: 'engine' } })
  })
})

describe('a real mlx_lm.server', () => {
  let holon: AttachedStand
  let server: Program
  beforeAll(async () => {
    const programs = await mlxPrograms()
    const model = join(folder, 'tiny-mlx')
    const maker = fileURLToPath(new URL('../fakes/tiny-mlx-model.py', import.meta.url))
    await promisify(execFile)(join(programs, 'python'), [maker, model])
    // It does not say a port that it chose itself.
    const port = await freePort()
    const args = ['--model', model, '--host', '127.0.0.1', '--port', String(port)]
    server = await startProgram(join(programs, 'mlx_lm.server'), args, /on port (\d+)/)
    open.push(server.stop)
    holon = await stand('mlx', server.url, { models: [model] })
  }, 20 * 60_000)
  answersLikeAny(() => ({ holon, model: 'tiny-mlx' }))

  test('unloads nothing and says so; what it would drop in silence is refused', async () => {
    await expect(holon.agent.unload('tiny-mlx')).rejects.toMatchObject({ code: 'usage' })
    const response = await holon.chat('tiny-mlx', 'Hello', { response_format: { type: 'json_object' } })
    expect(await response.json()).toMatchObject({ error: { code: 'unsupported_parameter' } })
  })

  test('its health page says ok for a model that it cannot read; one token tells', async () => {
    const wrong = await stand('mlx', server.url, { models: [join(folder, 'nothing-here')] })
    await wrong.until('the proof to fail', () => wrong.model('nothing-here')?.state === 'failed')
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    expect((await holon.chat('tiny-mlx', 'Hello', { max_tokens: 1 })).status).toBe(200)
  })
})
