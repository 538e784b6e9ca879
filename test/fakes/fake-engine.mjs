#!/usr/bin/env node
/**
 * A fake engine: a real program that speaks an engine's HTTP, with faults to order. It knows one model and answers
 * every prompt with counted words ("word0 word1 ..."). It prints one line, {"port":N}, once it listens on 127.0.0.1.
 *
 *   node fake-engine.mjs [--port 0] [--secret S] [--model fake] [--tokens 20] [--delay-ms 0] [--start-ms 0]
 *                        [--fault NAME] [--exit-with-parent]
 *
 * Faults, for every request by --fault, or for one request by a message that contains "fault:NAME":
 *   slow                 200 ms between tokens
 *   hang                 takes the request and never answers
 *   hang-mid-stream      stops sending after three tokens, keeps the connection
 *   crash                dies (exit 70) on the request
 *   crash-mid-stream     dies (SIGKILL) after three tokens
 *   cut-mid-stream       closes the connection after three tokens, stays alive
 *   no-done              ends the stream without finish_reason and [DONE]
 *   garbage-sse          sends lines that are no events and JSON that does not parse
 *   split-sse            sends every byte of the stream in a packet of its own
 *   wrong-content-type   answers with text/html
 *   error-400 / error-500  an error in OpenAI's envelope
 *   error-mid-stream     an error event after three tokens, no [DONE]
 *   no-usage             leaves usage and timings out
 * Faults of the process, by --fault only:
 *   ignore-sigterm       goes on after SIGTERM
 *   exit-at-start        exits with code 3 before it listens
 *   never-ready          listens, but /health says 503 for ever
 */
import { createServer } from 'node:http'

const options = {
  port: 0,
  secret: '',
  model: 'fake',
  tokens: 20,
  'delay-ms': 0,
  'start-ms': 0,
  fault: 'none',
}
for (let index = 2; index < process.argv.length; index++) {
  const name = process.argv[index].slice(2)
  if (name === 'exit-with-parent') {
    process.stdin.on('end', () => process.exit(0)).resume()
    continue
  }
  const value = process.argv[++index]
  options[name] = typeof options[name] === 'number' ? Number(value) : value
}

if (options.fault === 'exit-at-start') {
  process.stderr.write('error: asked to fail at the start\n')
  process.exit(3)
}
process.on('SIGTERM', () => {
  if (options.fault !== 'ignore-sigterm') process.exit(0)
})

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const created = 1_700_000_000

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

const problem = (status, message) => ({
  error: {
    message,
    type: status < 500 ? 'invalid_request_error' : 'server_error',
    param: null,
    code: 'fake',
    source: 'engine',
  },
})

async function readBody(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

function promptOf(body) {
  if (Array.isArray(body.messages)) return body.messages.map((message) => String(message.content)).join(' ')
  return String(body.prompt ?? '')
}

function faultOf(body) {
  return /fault:([a-z0-9-]+)/.exec(promptOf(body))?.[1] ?? options.fault
}

function figures(body, count) {
  const prompt = promptOf(body).split(/\s+/).filter(Boolean).length
  return {
    usage: {
      prompt_tokens: prompt,
      completion_tokens: count,
      total_tokens: prompt + count,
      prompt_tokens_details: { cached_tokens: 0 },
    },
    timings: {
      cache_n: 0,
      prompt_n: prompt,
      prompt_ms: prompt,
      prompt_per_second: 1000,
      predicted_n: count,
      predicted_ms: count * 10,
      predicted_per_second: 100,
    },
  }
}

/** Does what the fault asks before anything is sent; true when the request is done with. */
function faultAtOnce(fault, response) {
  if (fault === 'hang') return true
  if (fault === 'crash') process.exit(70)
  if (fault === 'error-400' || fault === 'error-500') {
    const status = Number(fault.slice(6))
    json(response, status, problem(status, `The fake engine was asked for ${fault}.`))
    return true
  }
  if (fault === 'wrong-content-type') {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<html><body>Not what you wanted</body></html>')
    return true
  }
  return false
}

/** Writes one part of the stream, byte by byte when the fault says so. */
async function write(response, fault, text) {
  if (fault !== 'split-sse') return response.write(text)
  for (const byte of Buffer.from(text)) {
    response.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What some faults do after three tokens; true when the stream is over. */
async function faultMidStream(fault, response) {
  if (!fault.endsWith('-mid-stream')) return false
  // What was sent must have left before the fault strikes.
  await new Promise((resolve) => response.write(': about to break\n\n', resolve))
  await sleep(20)
  if (fault === 'crash-mid-stream') process.kill(process.pid, 'SIGKILL')
  if (fault === 'cut-mid-stream') response.destroy()
  if (fault === 'hang-mid-stream') await new Promise(() => undefined)
  if (fault === 'error-mid-stream')
    response.end(`data: ${JSON.stringify(problem(500, 'The fake engine broke.'))}\n\n`)
  return fault === 'cut-mid-stream' || fault === 'error-mid-stream'
}

async function answer(request, response, chat) {
  const body = await readBody(request)
  const fault = faultOf(body)
  if (faultAtOnce(fault, response)) return
  const count = Math.min(options.tokens, body.max_completion_tokens ?? body.max_tokens ?? options.tokens)
  const words = Array.from({ length: count }, (_, index) => (index === 0 ? 'word0' : ` word${index}`))
  const finish = count < options.tokens ? 'length' : 'stop'
  const kind = chat ? 'chat.completion' : 'text_completion'
  const shape = { id: 'fake-1', object: kind, created, model: body.model ?? options.model }
  const delay = fault === 'slow' ? 200 : options['delay-ms']
  const { usage, timings } = figures(body, count)
  const extra = fault === 'no-usage' ? {} : { usage, timings }
  if (!body.stream) {
    await sleep(delay * count)
    if (response.destroyed) return
    const content = words.join('')
    const choice = chat ? { message: { role: 'assistant', content, refusal: null } } : { text: content }
    return json(response, 200, {
      ...shape,
      choices: [{ index: 0, ...choice, logprobs: null, finish_reason: finish }],
      ...extra,
    })
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const event = (choices, rest = {}) =>
    write(
      response,
      fault,
      `data: ${JSON.stringify({ ...shape, object: chat ? 'chat.completion.chunk' : kind, choices, ...rest })}\n\n`,
    )
  const piece = (text) => ({
    index: 0,
    ...(chat ? { delta: { content: text } } : { text }),
    logprobs: null,
    finish_reason: null,
  })
  if (chat)
    await event([
      { index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null },
    ])
  for (const [index, word] of words.entries()) {
    if (delay > 0) await sleep(delay)
    if (response.destroyed) return
    if (index === 3 && (await faultMidStream(fault, response))) return
    if (fault === 'garbage-sse')
      await write(response, fault, ': comment\n\nno event at all\ndata: {"choices": [\n\n\u0000\u0001\n\n')
    await event([piece(word)])
  }
  if (fault === 'no-done') return response.end()
  const last = { index: 0, ...(chat ? { delta: {} } : { text: '' }), logprobs: null, finish_reason: finish }
  const withUsage = body.stream_options?.include_usage === true
  await event([last], withUsage || fault === 'no-usage' ? {} : { timings })
  if (withUsage) await event([], extra)
  await write(response, fault, 'data: [DONE]\n\n')
  response.end()
}

async function embed(request, response) {
  const body = await readBody(request)
  const inputs = Array.isArray(body.input) ? body.input : [body.input]
  const data = inputs.map((text, index) => ({
    object: 'embedding',
    index,
    embedding: [String(text).length, 1, 0],
  }))
  json(response, 200, {
    object: 'list',
    data,
    model: body.model ?? options.model,
    usage: { prompt_tokens: inputs.length, total_tokens: inputs.length },
  })
}

const server = createServer((request, response) => {
  const path = (request.url ?? '').split('?')[0]
  if (path === '/health') {
    return options.fault === 'never-ready'
      ? json(response, 503, problem(503, 'Loading model'))
      : json(response, 200, { status: 'ok' })
  }
  if (options.secret && request.headers.authorization !== `Bearer ${options.secret}`) {
    return json(response, 401, problem(401, 'Invalid API Key'))
  }
  const failed = (error) => !response.headersSent && json(response, 400, problem(400, String(error)))
  if (request.method === 'POST' && path === '/v1/chat/completions')
    return void answer(request, response, true).catch(failed)
  if (request.method === 'POST' && path === '/v1/completions')
    return void answer(request, response, false).catch(failed)
  if (request.method === 'POST' && path === '/v1/embeddings')
    return void embed(request, response).catch(failed)
  if (path === '/v1/models')
    return json(response, 200, {
      object: 'list',
      data: [{ id: options.model, object: 'model', created, owned_by: 'fake' }],
    })
  json(response, 404, problem(404, `There is no ${path}.`))
})

await sleep(options['start-ms'])
server.listen(options.port, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`)
})
