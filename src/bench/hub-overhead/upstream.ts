/**
 * An engine that needs no time: what is measured in front of it is the relay alone. A child program of the bench.
 * A whole answer is about 400 bytes with usage; a stream is 100 events, each written by itself, or as many as asked at
 * a pace.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pacedTokens, paceMs } from './bodies.ts'
import { reportToBench } from './told.ts'

export const eventsPerStream = 100

const usage = { prompt_tokens: 12, completion_tokens: 16, total_tokens: 28 }
const whole = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1,
    model: 'bench',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'A short answer of sixteen tokens.' },
        finish_reason: 'stop',
      },
    ],
    usage,
  }),
)
const event = (delta: object, finish: string | null) =>
  Buffer.from(
    `data: ${JSON.stringify({
      id: 'chatcmpl-bench',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'bench',
      choices: [{ index: 0, delta, finish_reason: finish }],
    })}\n\n`,
  )
const token = event({ content: 'token ' }, null)
const last = event({}, 'stop')
const done = Buffer.from('data: [DONE]\n\n')

function stream(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  let sent = 0
  const next = () => {
    if (res.destroyed) return
    if (sent === eventsPerStream - 1) {
      res.write(last)
      res.end(done)
      return
    }
    sent++
    if (res.write(token)) setImmediate(next)
    else res.once('drain', next)
  }
  next()
}

function pacedStream(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  let left = pacedTokens
  const timer = setInterval(() => {
    left--
    res.write(left > 0 ? token : last)
    if (left > 0) return
    clearInterval(timer)
    res.end(done)
  }, paceMs)
  res.on('close', () => clearInterval(timer))
}

const server = createServer((req, res) => {
  let wantsStream = false
  let wantsPace = false
  req.on('data', (chunk: Buffer) => {
    wantsStream ||= chunk.includes('"stream":true')
    wantsPace ||= chunk.includes(`"max_tokens":${pacedTokens},`)
  })
  req.on('end', () => {
    if (wantsStream) return wantsPace ? pacedStream(res) : stream(res)
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length })
    res.end(whole)
  })
}) // As the hub has it: no connection is closed between two turns.
server.keepAliveTimeout = 65_000
server.listen(0, '127.0.0.1', () => {
  reportToBench(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => process.exit(0))
})
