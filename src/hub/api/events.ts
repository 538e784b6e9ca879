/**
 * GET /fleet/v1/events: what changes, as server-sent events. Written to node's response directly: it lives as long as
 * the page is open, and must drop a reader that does not read rather than queue for it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import type { FleetEvent } from '../../protocol/fleet.ts'
import type { Fleet } from '../registry/fleet.ts'

/** Changes come in bursts (every request starts and ends one): one picture per this many milliseconds. */
const gatherMs = 200
const keepAliveMs = 15_000
/** A reader this far behind is dropped. Bytes. */
const maxBehind = 1024 * 1024
const maxReaders = 200

export class EventFeed {
  private readonly fleet: Fleet
  private readonly clock: Clock
  private readonly readers = new Set<ServerResponse>()
  private readonly unsubscribe: () => void
  private stopGathering: (() => void) | null = null
  private stopKeepAlive: (() => void) | null = null

  constructor(fleet: Fleet, clock: Clock) {
    this.fleet = fleet
    this.clock = clock
    this.unsubscribe = fleet.subscribe(() => this.changed())
  }

  handle(req: IncomingMessage, res: ServerResponse, headers: Record<string, string>): void {
    if (this.readers.size >= maxReaders) {
      res.writeHead(503, { 'retry-after': '5' }).end()
      return
    }
    res.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    })
    if (req.method === 'HEAD') {
      res.end()
      return
    }
    this.readers.add(res)
    res.on('close', () => this.readers.delete(res))
    res.on('error', () => undefined)
    this.send(res, toText(this.picture()))
    this.keepAlive()
  }

  /** True when somebody reads: an event nobody reads need not be made. */
  get wanted(): boolean {
    return this.readers.size > 0
  }

  publish(event: FleetEvent): void {
    if (!this.wanted) return
    const text = toText(event)
    for (const reader of this.readers) this.send(reader, text)
  }

  close(): void {
    this.unsubscribe()
    this.stopGathering?.()
    this.stopKeepAlive?.()
    for (const reader of this.readers) reader.end()
    this.readers.clear()
  }

  private changed(): void {
    if (!this.wanted || this.stopGathering !== null) return
    this.stopGathering = this.clock.after(gatherMs, () => {
      this.stopGathering = null
      this.publish(this.picture())
    })
  }

  private picture(): FleetEvent {
    return { type: 'nodes', nodes: this.fleet.nodes.map((node) => node.state()) }
  }

  private send(reader: ServerResponse, text: string): void {
    if (reader.writableLength > maxBehind) {
      reader.destroy()
      this.readers.delete(reader)
    } else reader.write(text)
  }

  private keepAlive(): void {
    if (this.stopKeepAlive !== null) return
    this.stopKeepAlive = this.clock.after(keepAliveMs, () => {
      this.stopKeepAlive = null
      for (const reader of this.readers) this.send(reader, ': keep-alive\n\n')
      if (this.wanted) this.keepAlive()
    })
  }
}

function toText(event: FleetEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}
