import { afterEach, describe, expect, test } from 'vitest'
import type { EngineProcess, LaunchSpec } from '../../src/engines/engine.ts'
import { fakeDriver } from './fake-driver.ts'

const running: EngineProcess[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((engine) => engine.stop(200)))
})

const spec: LaunchSpec = {
  modelId: 'fake',
  modelPath: '/nowhere',
  contextTokens: null,
  parallel: 2,
  threads: null,
  embedding: false,
  onProgress: () => undefined,
  onLog: () => undefined,
  signal: new AbortController().signal,
}

async function start(...args: string[]): Promise<EngineProcess> {
  const engine = await fakeDriver({ args }).launch(spec)
  running.push(engine)
  return engine
}

async function ask(engine: EngineProcess, fault: string, stream = true): Promise<Response> {
  return fetch(`${engine.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...engine.headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'fake',
      stream,
      messages: [{ role: 'user', content: `say fault:${fault}` }],
    }),
    signal: AbortSignal.timeout(5000),
  })
}

describe('the fake engine', () => {
  test('answers counted words and ends its stream properly', async () => {
    const engine = await start('--tokens', '3')
    const text = await (await ask(engine, 'none')).text()
    expect(text).toContain('"content":" word2"')
    expect(text).toContain('"finish_reason":"stop"')
    expect(text).toContain('"timings":{')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  test('dies in the middle of a stream when asked to', async () => {
    const engine = await start()
    const response = await ask(engine, 'crash-mid-stream')
    await expect(response.text()).rejects.toThrow()
    expect(await engine.exited).toMatchObject({ signal: 'SIGKILL' })
  })

  test('sends garbage, the wrong content type and errors when asked to', async () => {
    const engine = await start('--tokens', '2')
    expect(await (await ask(engine, 'garbage-sse')).text()).toContain('no event at all')
    expect((await ask(engine, 'wrong-content-type')).headers.get('content-type')).toBe('text/html')
    expect((await ask(engine, 'error-500')).status).toBe(500)
    expect(await (await ask(engine, 'no-done')).text()).not.toContain('[DONE]')
  })

  test('that ignores SIGTERM is killed after the grace', async () => {
    const engine = await start('--fault', 'ignore-sigterm')
    await engine.stop(100)
    expect(await engine.exited).toMatchObject({ signal: 'SIGKILL', reason: 'The engine was stopped.' })
  })

  test('that fails at the start fails the launch with its own words', async () => {
    const launch = fakeDriver({ args: ['--fault', 'exit-at-start'] }).launch(spec)
    await expect(launch).rejects.toMatchObject({ code: 'model_load_failed' })
    await expect(launch).rejects.toThrow(/asked to fail at the start/)
  })
})
