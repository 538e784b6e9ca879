/** The engines of this member that peers may reach. A peer may come before the engine is there: it waits a while. */
import type { Reader } from './relay.ts'

export interface Offer {
  port: number
  /** The engine hangs or dies of two connections at once. */
  oneAtATime: boolean
  /** Makes one for each connection. */
  reader: (() => Reader) | null
}

export interface Taken {
  port: number
  reader: Reader | null
  /** The connection has ended: the next one may come. */
  done(): void
}

interface Channel {
  offer: Offer | null
  busy: boolean
  waiting: (() => void)[]
}

export class Offers {
  private readonly channels = new Map<string, Channel>()
  private readonly waitMs: number
  private closed = false

  constructor(waitMs: number) {
    this.waitMs = waitMs
  }

  set(name: string, offer: Offer): void {
    const channel = this.channel(name)
    channel.offer = offer
    wake(channel)
  }

  /** The engine behind a channel when its turn has come; null when there is none in time. */
  async take(name: string): Promise<Taken | null> {
    // Names come from peers, who have shown the secret, and are few; an unknown one must still cost nothing.
    if (!this.channels.has(name) && this.channels.size >= maxChannels) return null
    const channel = this.channel(name)
    const until = performance.now() + this.waitMs
    while (!this.closed && (channel.offer === null || (channel.offer.oneAtATime && channel.busy))) {
      const leftMs = until - performance.now()
      if (leftMs <= 0) return null
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        channel.waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    if (this.closed || channel.offer === null) return null
    channel.busy = true
    return {
      port: channel.offer.port,
      reader: channel.offer.reader?.() ?? null,
      done: () => {
        channel.busy = false
        wake(channel)
      },
    }
  }

  close(): void {
    this.closed = true
    for (const channel of this.channels.values()) wake(channel)
  }

  private channel(name: string): Channel {
    const channel = this.channels.get(name) ?? { offer: null, busy: false, waiting: [] }
    this.channels.set(name, channel)
    return channel
  }
}

const maxChannels = 8

function wake(channel: Channel): void {
  for (const resolve of channel.waiting.splice(0)) resolve()
}
