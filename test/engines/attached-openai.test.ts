import { createServer } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { engineUrl } from '../../src/engines/index.ts'
import { nodeState } from '../../src/protocol/node.ts'
import { type AttachedStand, attach, eventsOf, type Program, startFake, wordsOf } from './attached-stand.ts'

const open: { stop?(): Promise<void>; close?(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await (each.close ?? each.stop)?.call(each)
})
const fake = async (...args: string[]): Promise<Program> => {
  const program = await startFake('fake-engine.mjs', ...args)
  open.push(program)
  return program
}
const stand = async (...args: Parameters<typeof attach>): Promise<AttachedStand> => {
  const made = await attach(...args)
  open.push(made)
  return made
}

describe('an OpenAI server that was already there', () => {
  test('is listed with its engine, proven with one token, and answers through the hub', async () => {
    const { url } = await fake('--model', 'org/Big-Model', '--tokens', '4')
    const holon = await stand('openai', url, { models: ['org/Big-Model'] })
    await holon.until('the named model to be proven', () => holon.model('org/Big-Model')?.state === 'ready')
    expect(holon.model('org/Big-Model')).toMatchObject({
      engine: 'openai',
      source: `The OpenAI server at ${url}`,
      problem: null,
    })
    expect(nodeState.parse(holon.agent.state()).engines).toEqual(['openai'])
    const response = await holon.chat('org/Big-Model', 'hello')
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      model: 'org/Big-Model',
      choices: [{ message: { content: 'word0 word1 word2 word3' } }],
    })
    const { events, done } = await eventsOf(await holon.chat('org/Big-Model', 'hello', { stream: true }))
    expect(wordsOf(events)).toBe('word0 word1 word2 word3')
    expect(done).toBe(true)
    expect(holon.agent.ps()[0]).toMatchObject({
      id: 'org/Big-Model',
      engine: 'openai',
      pid: null,
      decodeTokS: 100,
    })
  })

  test('is given its key and a path before /v1, and the hub is given neither', async () => {
    const seen: { url?: string; key?: string; model?: string }[] = []
    const behind = createServer((req, res) => {
      let body = ''
      req.on('data', (part) => {
        body += part
      })
      req.on('end', () => {
        seen.push({
          url: req.url,
          key: req.headers.authorization,
          model: body === '' ? undefined : (JSON.parse(body) as { model: string }).model,
        })
        res.setHeader('content-type', 'application/json')
        if (req.url === '/ray/v1/models') res.end('{"object":"list","data":[]}')
        else res.end('{"model":"a","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}')
      })
    })
    await new Promise<void>((resolve) => behind.listen(0, '127.0.0.1', resolve))
    open.push({
      stop: async () => {
        behind.closeAllConnections()
        behind.close()
      },
    })
    const { port } = behind.address() as { port: number }
    const url = engineUrl(`http://127.0.0.1:${port}/ray/v1/`, [])
    const holon = await stand('openai', url, { models: ['a', 'b'], key: 'k-123' })
    expect(holon.agent.state().models.map(({ id }) => id)).toEqual(['a', 'b'])
    await holon.until('both to be proven', () => holon.model('b')?.state === 'ready')
    expect((await holon.chat('b', 'hello')).status).toBe(200)
    expect(seen.every(({ key }) => key === 'Bearer k-123')).toBe(true)
    expect(seen.at(-1)).toMatchObject({ url: '/ray/v1/chat/completions', model: 'b' })
    const lease = await holon.agent.acquire('b', { signal: new AbortController().signal })
    expect(JSON.stringify(lease.headers)).not.toContain('k-123')
    lease.release()
    // Nobody else on this machine may use the key through the door.
    const stranger = await fetch(`${lease.origin}/v1/chat/completions`, { method: 'POST', body: '{}' })
    expect(stranger.status).toBe(401)
  })

  test('an open port is no readiness: a server that lists a model and cannot answer is not ready', async () => {
    const { url } = await fake('--fault', 'error-500')
    const holon = await stand('openai', url, { models: ['fake'] })
    await holon.until('the proof to fail', () => holon.model('fake')?.state === 'failed')
    expect(holon.model('fake')?.failure).toContain('asked for error-500')
    const response = await holon.chat('fake', 'hello')
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ error: { code: 'model_load_failed', source: 'engine' } })
  })

  test('a caller that leaves ends the answer at the engine, and a break in it is no whole answer', async () => {
    const { url } = await fake('--tokens', '50', '--delay-ms', '20')
    const holon = await stand('openai', url)
    const leaver = new AbortController()
    const body = { model: 'fake', stream: true, messages: [{ role: 'user', content: 'hi' }] }
    const response = await holon.post('/v1/chat/completions', body, leaver.signal)
    await response.body!.getReader().read()
    expect(holon.agent.ps()[0]?.active).toBe(1)
    leaver.abort()
    await holon.until('the lease to be released', () => holon.agent.ps()[0]?.active === 0)
    const cut = await eventsOf(await holon.chat('fake', 'fault:cut-mid-stream', { stream: true }))
    expect(cut.done).toBe(false)
    expect(cut.events.at(-1)?.error).toMatchObject({ code: 'engine_failed' })
  })

  test('one that dies is told at once, stays listed with the reason, and is found again when it is back', async () => {
    const program = await fake()
    const holon = await stand('openai', program.url)
    expect((await holon.chat('fake', 'hi', { max_tokens: 1 })).status).toBe(200)
    await program.stop()
    const refused = await holon.chat('fake', 'hi')
    expect(refused.status).toBe(503)
    const told = (await refused.json()) as { error: { message: string; source: string } }
    expect(told.error.message).toContain(`${program.url} does not answer (ECONNREFUSED)`)
    await holon.until('it to be seen as failed', () => holon.model('fake')?.state === 'failed')
    await fake('--port', new URL(program.url).port)
    expect((await holon.chat('fake', 'hi', { max_tokens: 1 })).status).toBe(200)
    expect(holon.model('fake')?.state).toBe('ready')
  })

  test('it unloads nothing and says so', async () => {
    const holon = await stand('openai', (await fake()).url)
    await expect(holon.agent.unload('fake')).rejects.toMatchObject({ code: 'usage' })
    await expect(holon.agent.load('fake', { contextTokens: 512 })).rejects.toMatchObject({ code: 'usage' })
    await holon.agent.load('fake', {})
    expect(holon.model('fake')?.state).toBe('ready')
  })
})

describe('an engine address that is Holon itself', () => {
  test('is refused by address, under each of the names of this machine', () => {
    const own = ['http://127.0.0.1:4656', 'https://hub.example']
    for (const loop of [
      'http://localhost:4656/v1',
      'http://[::1]:4656',
      'http://127.0.0.1:4656/',
      'https://hub.example/v1',
    ])
      expect(() => engineUrl(loop, own)).toThrow('is Holon itself')
    expect(engineUrl('http://127.0.0.1:8000/v1/', own)).toBe('http://127.0.0.1:8000')
  })

  test.each(['ftp://x', 'file:///etc/passwd', 'http://user:pw@x', 'http://x/?a=1', 'nonsense'])(
    '%s is no address of an engine',
    (url) => {
      expect(() => engineUrl(url, [])).toThrow(/engine address/)
      expect(() => engineUrl(url, [])).not.toThrow(/pw/)
    },
  )

  test('is refused by its answers, whatever the address is', async () => {
    const inner = await stand('openai', (await fake()).url)
    const outer = await stand('openai', inner.url, { models: ['fake'] })
    expect(outer.model('fake')).toMatchObject({ state: 'failed' })
    expect(outer.model('fake')?.failure ?? '').toContain('is Holon itself')
    const response = await outer.chat('fake', 'hello')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'config_invalid' } })
  })
})
