/** The first line of a connection: which channel it is for. Everything after it belongs to the channel. */
import type { Duplex } from 'node:stream'
import { maxPreface } from './limits.ts'

const version = 'holon-wire/1'

export function preface(channel: string): string {
  return `${version} ${channel}\n`
}

/** The channel that the peer names, or null when it says something else or nothing in time. Bytes after it stay unread. */
export function readPreface(socket: Duplex, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    let held: Buffer = Buffer.alloc(0)
    const settle = (channel: string | null): void => {
      clearTimeout(timer)
      socket.off('readable', look)
      socket.off('end', gone)
      socket.off('close', gone)
      resolve(channel)
    }
    const gone = (): void => settle(null)
    const look = (): void => {
      for (;;) {
        const chunk = socket.read() as Buffer | null
        if (chunk === null) return
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
        const end = held.subarray(0, maxPreface).indexOf(0x0a)
        if (end === -1 && held.length < maxPreface) continue
        const [first, channel, ...rest] = held.subarray(0, Math.max(0, end)).toString('latin1').split(' ')
        const right = first === version && rest.length === 0 && /^[a-z][a-z0-9-]*$/.test(channel ?? '')
        settle(right ? (channel ?? null) : null)
        const after = held.subarray(end + 1)
        if (right && after.length > 0) socket.unshift(after)
        return
      }
    }
    const timer = setTimeout(gone, timeoutMs)
    socket.on('readable', look)
    socket.once('end', gone)
    socket.once('close', gone)
    look()
  })
}
