/** What the fakes of attached engines share: options, one server on loopback that prints its port, JSON, words. */
import { createServer } from 'node:http'

/** `--name value` pairs over the defaults; numbers where the default is one. */
export function readOptions(defaults) {
  const options = { port: 0, ...defaults }
  for (let index = 2; index < process.argv.length; index += 2) {
    const name = process.argv[index].slice(2)
    const value = process.argv[index + 1]
    options[name] = typeof options[name] === 'number' ? Number(value) : value
  }
  return options
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** Routes by "METHOD /path"; a handler gets (body, response, request, url). Prints {"port":N} once it listens. */
export function serve(port, routes, otherwise) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake')
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    let body = {}
    try {
      body = text === '' ? {} : JSON.parse(text)
    } catch {
      return json(response, 400, { error: 'invalid json' })
    }
    const handler = routes[`${request.method} ${url.pathname}`]
    try {
      await (handler ?? otherwise)(body, response, request, url)
    } catch (error) {
      if (!response.headersSent) json(response, 500, { error: String(error) })
      else response.destroy()
    }
  })
  server.listen(port, '127.0.0.1', () => {
    process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`)
  })
  return server
}

/** "word0", " word1", ... */
export function words(count) {
  return Array.from({ length: count }, (_, index) => (index === 0 ? 'word0' : ` word${index}`))
}

/** What the last user message says. */
export function lastWords(body) {
  const content = (body.messages ?? []).at(-1)?.content ?? body.prompt ?? ''
  return typeof content === 'string' ? content : JSON.stringify(content)
}

/** A fault asked for in a message, `fault:NAME`. */
export function faultIn(body, otherwise = 'none') {
  return /fault:([a-z0-9-]+)/.exec(lastWords(body))?.[1] ?? otherwise
}

/** An OpenAI chat answer of `count` words, streamed or whole. `more` goes into its last chunk, or the answer. */
export async function openAiAnswer(
  body,
  response,
  { count, delayMs = 0, more = {}, object, fault = 'none' },
) {
  const all = words(Math.min(count, body.max_tokens ?? body.max_completion_tokens ?? count))
  const usage = { prompt_tokens: 7, completion_tokens: all.length, total_tokens: 7 + all.length }
  const head = { id: 'fake-1', created: 1_700_000_000, model: body.model }
  const finish = all.length < count ? 'length' : 'stop'
  if (body.stream !== true) {
    await sleep(delayMs * all.length)
    const message = { role: 'assistant', content: all.join('') }
    const choices = [{ index: 0, message, finish_reason: finish }]
    return json(response, 200, { ...head, object: 'chat.completion', choices, usage, ...more })
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  const event = (choices, rest = {}) =>
    response.write(
      `data: ${JSON.stringify({ ...head, object: object ?? 'chat.completion.chunk', choices, ...rest })}\n\n`,
    )
  for (const [index, word] of all.entries()) {
    if (delayMs > 0) await sleep(delayMs)
    if (response.destroyed) return
    if (index === 3 && fault === 'cut-mid-stream') {
      await sleep(20)
      return response.destroy()
    }
    event([{ index: 0, delta: { content: word }, finish_reason: null }])
  }
  const withUsage = body.stream_options?.include_usage === true
  event([{ index: 0, delta: {}, finish_reason: finish }], withUsage ? {} : more)
  if (withUsage) event([], { usage, ...more })
  response.end('data: [DONE]\n\n')
}
