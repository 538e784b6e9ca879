/** Rank 0 behind its door, in front of a real HTTP server that answers when it is let. */
import { once } from 'node:events'
import { createServer, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { silentLog } from '../../core/log.ts'
import { attachOpenAi } from '../../engines/openai/index.ts'
import type { EngineLease } from '../../protocol/lease.ts'
import { PartLife } from './part-life.ts'
import { serveHead } from './serve-head.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const token = JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: 'a' } }] })

/** An engine's server; `answer` is called with every request after its body. */
async function stand(answer: (response: ServerResponse) => void) {
  const server = createServer((req, res) => {
    req.resume().once('end', () => answer(res))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const clock = new FakeClock()
  const life = new PartLife({ pool: 'test', launch: 'one', rank: 0 }, silentLog)
  ends.push(
    () => server.close(),
    () => server.closeAllConnections(),
    () => life.stop(),
  )
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const leased = serveHead({
    ...{ life, id: 'attached', engineModel: 'm', model: 'm', parallel: 1, oneAtATime: false, clock },
    ...{ usualMaxTokens: 100, look: async () => null, lookEveryMs: 1_000, signal: life.over },
    engine: attachOpenAi({ url, headers: {}, models: [], parallel: 1 }),
  })
  leased.catch(() => undefined)
  return { clock, life, leased }
}

/** A streamed answer as its caller has it: nothing is taken before it is read. */
async function ask({ origin, headers }: EngineLease) {
  const sent = request(`${origin}/v1/chat/completions`, { method: 'POST', headers, agent: false })
  sent.end(JSON.stringify({ model: 'm', stream: true, messages: [] }))
  const [response] = await once(sent, 'response')
  ends.push(() => sent.destroy())
  return response as NodeJS.ReadableStream & AsyncIterable<Buffer>
}

/** Everything between the engine and its caller holds what it can: in many turns of the event loop nothing moves. */
async function full(sender: () => ServerResponse | null): Promise<void> {
  let sent = -1
  for (let still = 0; still < 30; still++) {
    const now = sender()?.socket?.bytesWritten ?? 0
    if (now !== sent || now === 0) still = 0
    sent = now
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('the first token may take longer than any later one', async () => {
  let asked: (response: ServerResponse) => void = () => undefined
  const first = new Promise<ServerResponse>((resolve) => {
    asked = resolve
  })
  const { clock, life, leased } = await stand((response) => asked(response))
  const response = await first
  clock.advance(110_000)
  expect(life.over.aborted).toBe(false)
  response.end(token)
  expect((await leased)().model).toBe('m')
})

test('a caller that takes nothing is no sign of an engine that hangs, and what hangs then is found out', async () => {
  const word = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(1_000) } }] })}\n\n`
  let rest: ServerResponse | null = null
  let proven = false
  const { clock, life, leased } = await stand((response) => {
    if (!proven) response.end(token)
    else {
      rest = response.writeHead(200, { 'content-type': 'text/event-stream' })
      // More than all sockets between here and the caller hold.
      response.write(word.repeat(64_000))
    }
    proven = true
  })
  const answer = await ask((await leased)())
  await full(() => rest)
  clock.advance(90_000)
  expect(life.over.aborted).toBe(false)
  let bytes = 0
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  answer.on('error', () => undefined)
  while (bytes < 64_000 * word.length) await new Promise((resolve) => setTimeout(resolve, 10))
  clock.advance(29_000)
  expect(life.over.aborted).toBe(false)
  clock.advance(3_000)
  expect(await life.died).toMatch(/Nothing came out of an answer for 30 s/)
})

test.each(['data: [DONE]', 'data:[DONE]'])('an answer that ends with "%s" is whole', async (end) => {
  let proven = false
  const { leased } = await stand((response) => {
    if (proven) response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: {}\n\n${end}\n\n`)
    else response.end(token)
    proven = true
  })
  let text = ''
  for await (const chunk of await ask((await leased)())) text += String(chunk)
  expect(text).toContain(end)
})
