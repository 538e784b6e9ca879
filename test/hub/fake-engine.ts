/**
 * A fake engine: a real HTTP server that speaks enough of the OpenAI API to be relayed, and misbehaves on demand.
 * What it does is chosen by the last message (or the prompt):
 *
 * | text            | behaviour                                                                        |
 * |-----------------|----------------------------------------------------------------------------------|
 * | `!die`          | destroys the socket before the first byte, every time                             |
 * | `!die-once`     | the same, the first time only                                                     |
 * | `!die-mid`      | two events, then destroys the socket                                              |
 * | `!half`         | one event and half of the next, then destroys the socket                          |
 * | `!cut`          | two events, then ends the stream politely, without finish reason and `[DONE]`      |
 * | `!no-done`      | a whole stream with finish reason, but no `[DONE]`                                |
 * | `!late-error`   | one event, then `data: {"error":…}` and the end                                    |
 * | `!llama-error`  | one event, then llama-server's own `error: {…}` line and the end                  |
 * | `!short-body`   | announces more bytes than it sends, then destroys the socket                      |
 * | `!empty`        | 200 with an empty body                                                            |
 * | `!json-stream`  | answers a stream with a JSON document                                             |
 * | `!context`      | llama-server's 400 for a prompt that is too long                                  |
 * | `!fail`         | 500 with a plain text                                                             |
 * | `!locked`       | 401                                                                              |
 * | `!hang`         | never answers                                                                    |
 * | `!stall`        | one event, then silence                                                           |
 * | `!slow`         | 20 tokens, 25 ms apart                                                            |
 * | `!bytes`        | a whole stream, in chunks of one byte                                             |
 * | `!flood`        | a stream of 64 MiB                                                                |
 * | `!no-usage`     | tells neither usage nor timings                                                   |
 * | `!late`         | headers after 300 ms                                                              |
 *
 * What it says beside plain words is in fake-words.ts.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { layOut, speak, speakWhole, timings, tokenize, usage, wordsFor } from './fake-words.ts'

export interface SeenRequest {
  path: string
  headers: IncomingMessage['headers']
  body: Record<string, unknown>
  raw: Buffer
}

interface Call {
  text: string
  stream: boolean
  body: Record<string, unknown>
  res: ServerResponse
  kind: 'chat.completion' | 'text_completion'
}

export class FakeEngine {
  readonly seen: SeenRequest[] = []
  /** Requests whose client closed before the answer was whole. */
  aborted = 0
  inFlight = 0
  maxInFlight = 0
  /** Paths it does not have. */
  readonly hidden = new Set<string>()
  /** Bytes of a `!flood` that were taken off our hands. */
  flooded = 0
  private readonly server: Server
  private diedOnce = false

  constructor() {
    this.server = createServer((req, res) => {
      this.answer(req, res).catch(() => res.destroy())
    })
  }

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk as Buffer)
    const raw = Buffer.concat(chunks)
    const body = JSON.parse(raw.toString()) as Record<string, unknown>
    this.seen.push({ path: req.url ?? '', headers: req.headers, body, raw })
    this.inFlight++
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight)
    res.on('close', () => {
      this.inFlight--
      if (!res.writableFinished) this.aborted++
    })
    if (this.hidden.has(req.url ?? '')) res.writeHead(404).end()
    else if (req.url === '/v1/embeddings') embed(body, res)
    else if (req.url === '/apply-template') layOut(body, res)
    else if (req.url === '/tokenize') tokenize(body, res)
    else await this.generate(req, body, res)
  }

  private async generate(req: IncomingMessage, body: Record<string, unknown>, res: ServerResponse) {
    const kind = req.url === '/v1/completions' ? 'text_completion' : 'chat.completion'
    const call: Call = { text: lastText(body), stream: body.stream === true, body, res, kind }
    if (await this.misbehave(call, req.socket)) return
    if (call.text === '!late') await sleep(300)
    const words = wordsFor(call.text, body)
    if (call.stream && words !== null) speak(call, words)
    else if (call.stream) await this.stream(call)
    else if (words !== null) speakWhole(call, words)
    else whole(call)
  }

  /** Faults that replace the answer. */
  private async misbehave(call: Call, socket: Socket): Promise<boolean> {
    const { text, res } = call
    const json = (status: number, value: unknown) => {
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    switch (text) {
      case '!die':
        socket.destroy()
        return true
      case '!die-once':
        if (this.diedOnce) return false
        this.diedOnce = true
        socket.destroy()
        return true
      case '!hang':
        return true
      case '!empty':
        res.writeHead(200, { 'content-type': 'application/json' }).end()
        return true
      case '!short-body':
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
        res.write('{"id":"x"')
        await sleep(10)
        socket.destroy()
        return true
      case '!json-stream':
        json(200, { id: 'x' })
        return true
      case '!context':
        json(400, {
          error: {
            code: 400,
            message: 'the request exceeds the available context size',
            type: 'exceed_context_size_error',
          },
        })
        return true
      case '!alien':
        res.writeHead(200, { 'content-type': call.stream ? 'text/event-stream' : 'application/json' })
        if (call.stream) res.write(`data: ${JSON.stringify(delta(call, 0, 'word0 '))}\n\n`)
        res.end('data: <html>\n\n')
        return true
      case '!fail':
        res.writeHead(500, { 'content-type': 'text/plain' }).end('out of luck')
        return true
      case '!locked':
        json(401, { error: { message: 'Invalid API Key', type: 'authentication_error', code: 401 } })
        return true
      default:
        return false
    }
  }

  private async stream(call: Call): Promise<void> {
    const { res, text, body } = call
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    const send = async (value: unknown) => {
      const event = Buffer.from(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)
      if (text === '!bytes') for (const byte of event) res.write(Buffer.from([byte]))
      else if (!res.write(event)) await once(res, 'drain')
    }
    const tokens = text === '!slow' ? 20 : 4
    for (let index = 0; index < tokens; index++) {
      if (text === '!slow') await sleep(25)
      for (let choice = 0; choice < choices(body); choice++) await send(delta(call, choice, `word${index} `))
      if (text === '!half' && index === 0) {
        res.write('data: {"id":"half","choi')
        await sleep(20)
        res.destroy()
        return
      }
      if (text === '!stall') return
      if (index === 0 && text === '!late-error') {
        await send({
          error: { message: 'the worker is lost', type: 'server_error', param: null, code: null },
        })
        res.end()
        return
      }
      if (index === 0 && text === '!llama-error') {
        res.end('error: {"code":500,"message":"the worker is lost","type":"server_error"}\n\n')
        return
      }
      if (index === 1 && text === '!cut') {
        res.end()
        return
      }
      if (index === 1 && text === '!die-mid') {
        await sleep(20)
        res.destroy()
        return
      }
    }
    if (text === '!flood') await this.flood(call)
    for (let choice = 0; choice < choices(body); choice++) await send(delta(call, choice, null))
    const options = body.stream_options as { include_usage?: boolean } | undefined
    if (options?.include_usage && text !== '!no-usage') {
      await send({
        id: 'cmpl-1',
        object: `${call.kind}.chunk`,
        created: 1,
        model: body.model,
        choices: [],
        usage,
      })
    }
    if (text !== '!no-done') await send('[DONE]')
    res.end()
  }

  private async flood(call: Call): Promise<void> {
    const event = `data: ${JSON.stringify(delta(call, 0, 'x'.repeat(64 * 1024)))}\n\n`
    for (let sent = 0; sent < 1024; sent++) {
      if (call.res.destroyed) return
      if (!call.res.write(event)) await drainedOrClosed(call.res)
      this.flooded += event.length
    }
  }
}

function drainedOrClosed(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      res.off('drain', over)
      res.off('close', over)
      resolve()
    }
    res.on('drain', over)
    res.on('close', over)
  })
}

function choices(body: Record<string, unknown>): number {
  return typeof body.n === 'number' ? body.n : 1
}

function lastText(body: Record<string, unknown>): string {
  if (typeof body.prompt === 'string') return body.prompt
  const messages = Array.isArray(body.messages) ? (body.messages as { content?: unknown }[]) : []
  const content = messages.at(-1)?.content
  return typeof content === 'string' ? content : ''
}

function delta(call: Call, index: number, text: string | null): object {
  const finish = text === null ? 'stop' : null
  const end = text === null && call.text !== '!no-usage' ? { timings } : {}
  const base = { id: 'cmpl-1', created: 1, model: call.body.model, ...end }
  if (call.kind === 'text_completion') {
    return {
      ...base,
      object: 'text_completion',
      choices: [{ index, text: text ?? '', finish_reason: finish }],
    }
  }
  const content = text === null ? {} : { role: 'assistant', content: text }
  return {
    ...base,
    object: 'chat.completion.chunk',
    choices: [{ index, delta: content, finish_reason: finish }],
  }
}

function whole(call: Call): void {
  const { body, res, kind } = call
  const list = Array.from({ length: choices(body) }, (_, index) =>
    kind === 'text_completion'
      ? { index, text: 'word0 word1 ', finish_reason: 'stop', logprobs: null }
      : { index, ...message(body), logprobs: body.logprobs === true ? { content: [logprob] } : null },
  )
  const told = call.text === '!no-usage' ? {} : { usage, timings }
  res.writeHead(200, { 'content-type': 'application/json' })
  res.end(
    JSON.stringify({ id: 'cmpl-1', object: kind, created: 1, model: body.model, choices: list, ...told }),
  )
}

const logprob = {
  token: 'word0',
  logprob: -0.1,
  bytes: null,
  top_logprobs: [{ token: 'word0', logprob: -0.1, bytes: null }],
}

function message(body: Record<string, unknown>): object {
  const tools = body.tools as { function: { name: string } }[] | undefined
  if (tools && body.tool_choice === 'required') {
    const call = {
      id: 'call_1',
      type: 'function',
      function: { name: tools[0]!.function.name, arguments: '{"city":"Bern"}' },
    }
    return { message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'tool_calls' }
  }
  const format = body.response_format as { type?: string } | undefined
  const content = format?.type === 'json_schema' ? '{"city":"Bern"}' : 'word0 word1 '
  return { message: { role: 'assistant', content }, finish_reason: 'stop' }
}

function embed(body: Record<string, unknown>, res: ServerResponse): void {
  const inputs = Array.isArray(body.input) ? body.input : [body.input]
  const vector = [0.25, -0.5, 1]
  const coded =
    body.encoding_format === 'base64'
      ? Buffer.from(new Float32Array(vector).buffer).toString('base64')
      : vector
  const data = inputs.map((_, index) => ({ object: 'embedding', index, embedding: coded }))
  res.writeHead(200, { 'content-type': 'application/json' })
  // In llama-server's order: usage before the data.
  res.end(
    JSON.stringify({ model: body.model, object: 'list', usage: { prompt_tokens: 5, total_tokens: 5 }, data }),
  )
}
