/** Lines of JSON out of a stream of bytes, with a bound on each: a peer that never ends its line costs no memory. */
import { HolonError } from './errors.ts'

const newline = 0x0a

/**
 * Yields each complete line, parsed. What is left without a newline at the end is a broken line and is dropped.
 * @throws HolonError tunnel_misbehaved for a line longer than `maxBytes` or one that is no JSON
 */
export async function* readJsonLines(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<unknown> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (const chunk of source) {
    let from = 0
    for (;;) {
      const end = chunk.indexOf(newline, from)
      const piece = chunk.subarray(from, end === -1 ? undefined : end)
      heldBytes += piece.length
      if (heldBytes > maxBytes) throw tooLong(maxBytes)
      if (end === -1) {
        if (piece.length > 0) held.push(piece)
        break
      }
      const line = Buffer.concat([...held, piece], heldBytes).toString('utf8')
      held = []
      heldBytes = 0
      from = end + 1
      if (line.trim() !== '') yield parse(line)
    }
  }
}

/** One value as one line. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new HolonError('tunnel_misbehaved', 'The peer sent a line that is no JSON.', { cause })
  }
}

function tooLong(maxBytes: number): HolonError {
  return new HolonError('tunnel_misbehaved', `The peer sent a line longer than ${maxBytes} bytes.`)
}
