import { copyFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { descendants, eventually, isAlive, type Running, runCli, startCli } from '../support/cli.ts'
import { makeTestHome } from '../support/home.ts'

/** `holon up` as its owner meets it: the real program, the real embedded engine, the model that ships with it. */
const home = makeTestHome()
const env = { HOLON_HOME: home.root, HOLON_PORT: '0', HOLON_ENGINE: 'embedded' }
let up: Running
let url = ''

beforeAll(async () => {
  up = startCli(['up', '--no-open'], env)
  url = (await up.until(/Holon is up at (http:\S+)/))[1] ?? ''
})
afterAll(async () => {
  up.child.kill('SIGKILL')
  await up.finished
  home.remove()
})

describe('a bare machine', () => {
  test('answers the README curl with a stream of readable text', async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' })
    const stream = await client.chat.completions.create({
      model: 'holon-demo',
      messages: [{ role: 'user', content: 'What is Holon?' }],
      temperature: 0,
      stream: true,
    })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    expect(text).toMatch(/machines/)
    expect(text.trim()).toMatch(/[.!?]$/)
  })

  test('says plainly that its model is a demonstration, and what to get instead', async () => {
    await up.until(/demonstration/)
    expect(up.output().stdout).toMatch(/holon pull \S+/)
  })

  test('serves the page', async () => {
    const page = await fetch(`${url}/`)
    expect(page.headers.get('content-type')).toMatch(/text\/html/)
    expect(await page.text()).toMatch(/<title>.*Holon/)
  })

  test('commands find it by its HOLON_HOME', async () => {
    const status = await runCli(['status', '--json'], env)
    expect(JSON.parse(status.stdout)).toMatchObject({ url, pid: up.child.pid })
    const ps = await runCli(['ps'], env)
    expect(ps.stdout).toMatch(/holon-demo .*embedded/)
    const run = await runCli(['run', 'holon-demo', 'Who', 'are', 'you?', '--json'], env)
    expect(JSON.parse(run.stdout)).toMatchObject({ model: 'holon-demo', finishReason: 'stop' })
  })

  test('a model that was pulled answers at once; deleted while it is not in memory, it is gone at once', async () => {
    const file = join(home.root, 'tiny.gguf')
    copyFileSync('assets/holon-demo.gguf', file)
    const pulled = await runCli(['pull', file], env)
    expect(pulled).toMatchObject({ code: 0, stdout: expect.stringContaining('holon run tiny') })
    const run = await runCli(['run', 'tiny', 'What is Holon?', '--json'], env)
    expect(JSON.parse(run.stdout)).toMatchObject({ model: 'tiny' })
    await runCli(['unload', 'tiny'], env)
    expect(await runCli(['rm', 'tiny'], env)).toMatchObject({ code: 0, stderr: '' })
    expect((await runCli(['models'], env)).stdout).not.toContain('tiny')
  })

  test('a second one on the same home says so and exits 1', async () => {
    const second = await runCli(['up', '--no-open'], env)
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(`already running on ${home.root} at ${url}`)
    expect(second.stderr).toContain('hint:')
  })
})

test('a port in use says who holds it and what to do', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  const { port } = holder.address() as AddressInfo
  const other = makeTestHome()
  const refused = await runCli(['up', '--no-open'], { HOLON_HOME: other.root, HOLON_PORT: String(port) })
  holder.close()
  other.remove()
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain(`Port ${port}`)
  expect(refused.stderr).toContain('--port')
})

test.runIf(process.platform === 'linux').each([
  ['Ctrl-C', 'SIGINT', 0],
  ['SIGTERM', 'SIGTERM', 0],
  ['kill -9', 'SIGKILL', null],
] as const)('%s leaves no process behind, and the next start works', async (_, signal, code) => {
  const own = makeTestHome()
  const ownEnv = { ...env, HOLON_HOME: own.root }
  for (let round = 0; round < 2; round++) {
    const running = startCli(['up', '--no-open'], ownEnv)
    await running.until(/is ready/)
    const children = descendants(running.child.pid ?? 0)
    expect(children.length).toBeGreaterThan(0)
    running.child.kill(signal)
    expect((await running.finished).code).toBe(code)
    await eventually('every child to end', () => !children.some(isAlive))
  }
  own.remove()
})
