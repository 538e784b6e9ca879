/**
 * A file server that misbehaves on request, for tests: a real HTTP server with documented faults, because a mocked
 * one would only fail in the ways we thought of. It speaks the two calls of Hugging Face's API that a pull makes.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What goes wrong with one request for a file. Each is used up by one request, in order. */
export type Fault =
  /** The connection is cut after so many bytes of the body. */
  | { kind: 'cut'; after: number }
  /** Nothing more comes after so many bytes. */
  | { kind: 'stall'; after: number }
  /** Content-Length promises more than is sent, then the connection ends. */
  | { kind: 'short'; by: number }
  /** The headers of the whole claim another size than the file has. */
  | { kind: 'claim'; size: number }
  /** A chunked body with so many bytes too many. */
  | { kind: 'long'; by: number }
  /** The whole file with 200, whatever range was asked for. */
  | { kind: 'ignoreRange' }
  /** One byte is wrong. */
  | { kind: 'corrupt'; at: number }
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** The bytes come slowly: so many at a time, with a pause. */
  | { kind: 'slow'; bytes: number; pauseMs: number }

export interface SeenRequest {
  path: string
  range: string | undefined
  ifRange: string | undefined
  authorization: string | undefined
}

export class FaultyFileServer {
  readonly files = new Map<string, Uint8Array>()
  readonly faults: Fault[] = []
  readonly seen: SeenRequest[] = []
  /** File requests are sent on to this origin, as a hub sends them to its CDN. */
  redirectTo: string | null = null
  etags = true
  origin = ''
  private readonly server: Server

  private constructor() {
    this.server = createServer((request, response) => this.answer(request, response))
  }

  static async start(): Promise<FaultyFileServer> {
    const server = new FaultyFileServer()
    await new Promise<void>((resolve) => server.server.listen(0, '127.0.0.1', resolve))
    server.origin = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`
    return server
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  /** Requests for files, without those for lists. */
  get fileRequests(): SeenRequest[] {
    return this.seen.filter((request) => !request.path.startsWith('/api/'))
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', this.origin).pathname)
    const { range, authorization } = request.headers
    this.seen.push({ path, range, authorization, ifRange: request.headers['if-range']?.toString() })
    const repo = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/main$/.exec(path)?.[1]
    if (repo !== undefined) this.list(repo, response)
    else this.sendOrRedirect(path, request, response)
  }

  private sendOrRedirect(path: string, request: IncomingMessage, response: ServerResponse): void {
    if (this.redirectTo !== null) {
      response.writeHead(302, { location: `${this.redirectTo}${path}?signature=secret` }).end()
      return
    }
    const file = this.files.get(path)
    if (!file) {
      response.writeHead(404).end()
      return
    }
    this.send(file, request, response)
  }

  private list(repo: string, response: ServerResponse): void {
    const prefix = `/${repo}/resolve/main/`
    const entries = [...this.files].filter(([path]) => path.startsWith(prefix))
    if (entries.length === 0) {
      response.writeHead(404).end()
      return
    }
    const body = entries.map(([path, file]) => ({
      type: 'file',
      path: path.slice(prefix.length),
      size: file.length,
      lfs: { oid: sha256(file), size: file.length },
    }))
    response.end(JSON.stringify(body))
  }

  private send(file: Uint8Array, request: IncomingMessage, response: ServerResponse): void {
    const fault = this.faults.shift()
    if (fault?.kind === 'status') {
      response.writeHead(fault.status, fault.headers).end()
      return
    }
    const etag = `"${sha256(file).slice(0, 16)}"`
    const asked = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN)
    const ifRange = request.headers['if-range']
    const current = ifRange === undefined || ifRange === etag
    const ranged = Number.isFinite(asked) && current && fault?.kind !== 'ignoreRange'
    const start = ranged ? asked : 0
    const size = fault?.kind === 'claim' ? fault.size : file.length
    if (ranged && start >= file.length) {
      response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
      return
    }
    const body = Buffer.from(file.subarray(start))
    if (fault?.kind === 'corrupt') body[fault.at] = 255 - (body[fault.at] ?? 0)
    const headers: Record<string, string | number> = this.etags ? { etag } : {}
    if (ranged) headers['content-range'] = `bytes ${start}-${file.length - 1}/${size}`
    if (fault?.kind !== 'long') {
      headers['content-length'] =
        fault?.kind === 'short' ? body.length + fault.by : ranged ? body.length : size - start
    }
    response.writeHead(ranged ? 206 : 200, headers)
    deliver(body, fault, response)
  }
}

function deliver(body: Buffer, fault: Fault | undefined, response: ServerResponse): void {
  switch (fault?.kind) {
    case 'cut':
      response.write(body.subarray(0, fault.after), () => response.destroy())
      return
    case 'stall':
      response.write(body.subarray(0, fault.after))
      return
    case 'short':
    case 'claim':
      response.write(body, () => response.destroy())
      return
    case 'long':
      response.write(body)
      response.end(Buffer.alloc(fault.by))
      return
    case 'slow':
      drip(body, fault.bytes, fault.pauseMs, response)
      return
    default:
      response.end(body)
  }
}

function drip(body: Buffer, bytes: number, pauseMs: number, response: ServerResponse): void {
  if (response.destroyed) return
  if (body.length <= bytes) {
    response.end(body)
    return
  }
  response.write(body.subarray(0, bytes))
  setTimeout(() => drip(body.subarray(bytes), bytes, pauseMs, response), pauseMs)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
