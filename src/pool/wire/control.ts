/**
 * What two agents say to each other beside the engines' traffic: that they live, where an engine is, and goodbye. Engines
 * have no timeouts of their own; a machine that was stopped or a cable that was pulled is noticed here.
 */
import type { TLSSocket } from 'node:tls'
import { z } from 'zod'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { jsonLine, readJsonLines } from '../../core/lines.ts'
import { Heartbeat } from '../../tunnel/heartbeat.ts'
import { maxControlLine, type WireTiming } from './limits.ts'

const number = z.number().int().min(0)
const message = z.union([
  /** Not answered: the other end says the same, as often. */
  z.object({ ping: number }),
  /** Where does your engine take this channel? Answered on an isolated link only. */
  z.object({ where: z.string().max(40), ask: number }),
  z.object({ ask: number, host: z.string().max(255).nullable(), port: number.max(65_535).nullable() }),
  z.object({ bye: z.string().max(300) }),
])

export interface ControlOptions {
  socket: TLSSocket
  drop(): void
  clock: Clock
  timing: WireTiming
  /** This end's engine address for a channel, null when it is not told; waits until the engine is there. */
  addressOf(channel: string): Promise<{ host: string; port: number } | null>
  /** Once, with a sentence's end: `nothing was heard from it for 2.0 s`. */
  onLost(why: string): void
}

export class Control {
  private readonly options: ControlOptions
  private readonly heartbeat: Heartbeat
  private readonly asked = new Map<number, (at: { host: string; port: number } | null) => void>()
  private sent = 0
  private over = false

  constructor(options: ControlOptions) {
    this.options = options
    const { clock, timing } = options
    this.heartbeat = new Heartbeat(
      clock,
      { ...timing, writeStallMs: timing.silenceMs, setupMs: 0, probeMs: 0 },
      { ping: () => this.ping(), writeStalledMs: () => 0, dead: (why) => this.lose(why) },
    )
    this.heartbeat.start()
    this.ping()
    void this.listen()
  }

  /** Where the peer's engine takes a channel, on a link where engines speak to each other without us. */
  where(channel: string): Promise<{ host: string; port: number } | null> {
    if (this.over) return Promise.resolve(null)
    return new Promise((resolve) => {
      const ask = ++this.sent
      this.asked.set(ask, resolve)
      this.say({ where: channel, ask })
    })
  }

  /** Says goodbye and hangs up. */
  close(why: string): void {
    if (this.over) return
    this.say({ bye: why.slice(0, 300) })
    this.finish()
    const { socket, drop } = this.options
    socket.end()
    // The goodbye gets a moment to leave; a peer that does not read it is not waited for.
    const timer = setTimeout(drop, 500)
    socket.once('close', () => clearTimeout(timer))
    socket.resume()
  }

  private ping(): void {
    if (this.options.socket.writableLength > maxControlLine) return
    this.say({ ping: ++this.sent })
  }

  private async listen(): Promise<void> {
    try {
      for await (const line of readJsonLines(this.options.socket, maxControlLine)) {
        if (this.over) return
        const heard = message.safeParse(line)
        if (!heard.success) throw new HolonError('pool_wire_failed', 'it broke the rules of the wire')
        this.heartbeat.heard()
        if (!this.take(heard.data)) return
      }
      this.lose('it hung up')
    } catch (thrown) {
      this.lose(thrown instanceof HolonError ? thrown.message : 'the connection broke')
    }
  }

  /** False when that was the last word. */
  private take(said: z.infer<typeof message>): boolean {
    if ('ping' in said) return true
    if ('where' in said) void this.tell(said.where, said.ask)
    else if ('ask' in said) {
      const { host, port } = said
      this.asked.get(said.ask)?.(host !== null && port !== null ? { host, port } : null)
      this.asked.delete(said.ask)
    } else {
      this.lose(said.bye)
      return false
    }
    return true
  }

  private async tell(channel: string, ask: number): Promise<void> {
    const at = await this.options.addressOf(channel)
    if (!this.over) this.say({ ask, host: at?.host ?? null, port: at?.port ?? null })
  }

  private say(what: z.infer<typeof message>): void {
    if (this.options.socket.writable) this.options.socket.write(jsonLine(what))
  }

  private lose(why: string): void {
    if (this.over) return
    this.finish()
    this.options.drop()
    this.options.onLost(why)
  }

  private finish(): void {
    this.over = true
    this.heartbeat.stop()
    for (const resolve of this.asked.values()) resolve(null)
    this.asked.clear()
  }
}
