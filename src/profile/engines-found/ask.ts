/** Asking a server on this machine one question, quickly, and taking no for an answer. */
import { request } from 'node:http'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  /** The body as JSON, or null. Narrow it with `field` and `rows`. */
  json: unknown
}

/** Asks for a path of one server; null when there is no (whole) answer in time. */
export type Ask = (path: string) => Promise<Answer | null>

const MAX_BYTES = 4 * 1024 * 1024

/** All questions together must be answered by `deadline`. Loopback only, no redirects, no connection kept. */
export function askLoopback(port: number, deadline: AbortSignal): Ask {
  return (path) =>
    new Promise((resolve) => {
      const nothing = () => resolve(null)
      const question = request(
        {
          host: '127.0.0.1',
          port,
          path,
          agent: false,
          signal: deadline,
          headers: { accept: 'application/json' },
        },
        (response) => {
          const parts: Buffer[] = []
          let length = 0
          response.on('error', nothing)
          response.on('data', (part: Buffer) => {
            parts.push(part)
            length += part.length
            // Someone else's service on this port may stream without end.
            if (length > MAX_BYTES) response.destroy(new Error('too long'))
          })
          response.on('end', () => {
            const text = Buffer.concat(parts).toString('utf8')
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) })
          })
        },
      )
      question.on('error', nothing)
      question.end()
    })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** A field of something that may be an object. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

/** The objects in a field that may be a list. */
export function rows(value: unknown, name: string): unknown[] {
  const list = field(value, name)
  return Array.isArray(list) ? list.filter((row) => typeof row === 'object' && row !== null) : []
}

/** The texts that the rows have under a name; rows without are left out. */
export function texts(list: readonly unknown[], name: string): string[] {
  return list.map((row) => field(row, name)).filter((value) => typeof value === 'string')
}

/** A field as text, or null. */
export function text(value: unknown, name: string): string | null {
  const found = field(value, name)
  return typeof found === 'string' ? found : null
}
