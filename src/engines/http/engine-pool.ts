/**
 * Connections to one engine: as many as there are requests at once, kept a moment for the next. The last one used is
 * used first, so that what is not needed grows old and goes.
 */
import type { Dispatcher } from 'undici'
import {
  type ConnectionOwner,
  type EngineAddress,
  EngineConnection,
  type EngineRequest,
} from './engine-connection.ts'

/** How long a free connection is trusted: servers close theirs after five seconds (Node, uvicorn) or more. Milliseconds. */
const trustMs = 4_000
/** A server's own word is believed less a second, in which its closing may be on its way. Milliseconds. */
const marginMs = 1_000

export class EnginePool implements ConnectionOwner {
  private readonly address: EngineAddress
  private readonly host: string
  private readonly all = new Set<EngineConnection>()
  private readonly idle: EngineConnection[] = []
  private sweep: NodeJS.Timeout | null = null
  private closed = false

  /** @param origin `http://host:port` */
  constructor(origin: string) {
    const { hostname, port, host } = new URL(origin)
    this.address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
    this.host = host
  }

  /** Requests under way. */
  get running(): number {
    return this.all.size - this.idle.length
  }

  /** Sends a request. All that goes wrong is told to the handler. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.closed) {
      handler.onResponseError?.(null as never, new Error('The engine is not used any more.'))
      return true
    }
    const body = bytesOf(options.body)
    this.take().send({ head: this.headOf(options, body.length), body, handler })
    return true
  }

  free(connection: EngineConnection, idleMs: number | null): void {
    const kept = idleMs === null ? trustMs : Math.min(trustMs, idleMs - marginMs)
    connection.keptUntil = performance.now() + kept
    this.idle.push(connection)
    this.sweep ??= setInterval(() => this.dropOld(), 1_000).unref()
  }

  gone(connection: EngineConnection): void {
    this.all.delete(connection)
    const at = this.idle.lastIndexOf(connection)
    if (at >= 0) this.idle.splice(at, 1)
    if (this.idle.length === 0) this.stopSweep()
  }

  again(request: EngineRequest): boolean {
    if (this.closed) return false
    this.open().send(request)
    return true
  }

  async destroy(): Promise<void> {
    this.closed = true
    this.stopSweep()
    for (const connection of [...this.all]) connection.fail(new Error('The engine is not used any more.'))
  }

  private take(): EngineConnection {
    const last = this.idle.pop()
    if (last !== undefined) {
      if (last.keptUntil > performance.now()) return last
      last.fail(new Error('idle for too long'))
    }
    return this.open()
  }

  private open(): EngineConnection {
    const connection = new EngineConnection(this.address, this)
    this.all.add(connection)
    return connection
  }

  private dropOld(): void {
    const now = performance.now()
    for (const connection of [...this.idle]) {
      if (connection.keptUntil <= now) connection.fail(new Error('idle for too long'))
    }
  }

  private stopSweep(): void {
    if (this.sweep !== null) clearInterval(this.sweep)
    this.sweep = null
  }

  private headOf({ method, path, headers }: Dispatcher.DispatchOptions, length: number): string {
    let head = `${method} ${path} HTTP/1.1\r\nhost: ${this.host}\r\nconnection: keep-alive\r\n`
    const named = headers as Record<string, string>
    for (const name in named) {
      if (unsendable.test(named[name]!)) throw new TypeError(`The header ${name} cannot be sent.`)
      head += `${name}: ${named[name]}\r\n`
    }
    return `${head}content-length: ${length}\r\n\r\n`
  }
}

/** What would end a header early, or is no byte. */
const unsendable = /[^\t\x20-\x7e\x80-\xff]/

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body
  if (typeof body === 'string') return Buffer.from(body)
  throw new TypeError('Engines are sent whole bodies only.')
}
