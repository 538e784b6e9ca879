/**
 * The node's side of the tunnel bench and soak, as a process of its own: a stand-in for an engine that answers at once,
 * behind the real tunnel, and the same handler on a loopback port to compare with.
 * Arguments: the hub's URL, the node's id and, to dial as many nodes at once, their number. Prints one JSON line when it
 * listens: `{"port"}`.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { dialHub } from '../tunnel/dial.ts'

type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse
type Answer = (request: Request, response: Response, query: URLSearchParams) => void | Promise<void>

let cancelled = 0
const block = Buffer.alloc(64 * 1024, 'holon')
const small = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  choices: [{ index: 0, text: 'ok' }],
})
const chunk = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'token' } }], pad: 'x'.repeat(120) })}\n\n`

const write = (response: Response, bytes: string | Buffer): boolean =>
  (response as ServerResponse).write(bytes)

const answers: Record<string, Answer> = {
  '/json': (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': small.length })
    response.end(small)
  },
  '/hash': async (request, response) => {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const each of request) {
      hash.update(each as Buffer)
      bytes += (each as Buffer).length
    }
    response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }))
  },
  /** Takes a body and says how long it was. */
  '/sink': async (request, response) => {
    let bytes = 0
    for await (const each of request) bytes += (each as Buffer).length
    response.end(JSON.stringify({ bytes }))
  },
  /** `chunks` events, one every `everyMs`. */
  '/sse': (request, response, query) => {
    request.resume()
    let left = Number(query.get('chunks') ?? 100)
    const everyMs = Number(query.get('everyMs') ?? 10)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => {
      write(response, chunk)
      left -= 1
      if (left > 0) return
      clearInterval(timer)
      response.end('data: [DONE]\n\n')
    }, everyMs)
    response.on('close', () => clearInterval(timer))
  },
  /** `bytes` as fast as they are taken. */
  '/bulk': (request, response, query) => {
    request.resume()
    let left = Number(query.get('bytes') ?? 0)
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const go = () => {
      while (left > 0) {
        const piece = left >= block.length ? block : block.subarray(0, left)
        left -= piece.length
        if (!write(response, piece)) return void response.once('drain', go)
      }
      response.end()
    }
    go()
  },
  /** Begins an answer and leaves it open. */
  '/hang': (request, response) => {
    request.resume()
    response.on('close', () => {
      cancelled += 1
    })
    write(response, 'begun')
  },
  '/stats': (request, response) => {
    request.resume()
    response.end(JSON.stringify({ cancelled, rssBytes: process.memoryUsage().rss, cpu: process.cpuUsage() }))
  },
}

function handler(request: Request, response: Response): void | Promise<void> {
  const url = new URL(request.url ?? '/', 'http://node')
  const answer = answers[url.pathname]
  if (answer) return answer(request, response, url.searchParams)
  response.writeHead(404)
  response.end()
}

const [hubUrl, nodeId, count = '1'] = process.argv.slice(2)
if (!hubUrl || !nodeId) throw new Error('usage: tunnel-node HUB_URL NODE_ID [COUNT]')
const server = createServer((request, response) => void handler(request, response))
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`)
})
for (let i = 0; i < Number(count); i++) {
  const id = i === 0 ? nodeId : `${nodeId}-${i}`
  dialHub({
    hubUrl,
    nodeId: id,
    agentVersion: 'bench',
    credential: () => `key-${id}`,
    handler,
    reconnect: { baseMs: 100, maxMs: 1_000 },
  })
}
