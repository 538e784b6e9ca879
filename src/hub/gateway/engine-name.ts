/**
 * Engines with several models (Ollama, LM Studio, vLLM) choose by the request's `model`, and know a model only by their
 * own name for it. What the caller wrote is replaced in the bytes of the body; all others are sent on as they came.
 */

/** The body itself when the names are the same. @param body one JSON object, checked before */
export function withModelName(body: Buffer, asked: string, name: string): Buffer {
  if (asked === name) return body
  const place = findModel(body)
  if (place === null) return body
  return Buffer.concat([
    body.subarray(0, place.start),
    Buffer.from(JSON.stringify(name)),
    body.subarray(place.end),
  ])
}

const quote = 0x22
const backslash = 0x5c
const openers = new Set([0x7b, 0x5b])
const closers = new Set([0x7d, 0x5d])

/** The value of the outermost object's `model`, quotes included; of several the last, as JSON.parse has it. */
function findModel(body: Buffer): { start: number; end: number } | null {
  let found: { start: number; end: number } | null = null
  let depth = 0
  let key: string | null = null
  let expectsValue = false
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!
    if (byte === quote) {
      const end = endOfString(body, at)
      if (depth === 1 && expectsValue && key === 'model') found = { start: at, end }
      if (depth === 1 && !expectsValue) key = readKey(body, at, end)
      at = end - 1
    } else if (openers.has(byte)) depth++
    else if (closers.has(byte)) depth--
    else if (depth === 1 && byte === 0x3a) expectsValue = true
    else if (depth === 1 && byte === 0x2c) expectsValue = false
  }
  return found
}

/** Where the string that opens at `at` is over. */
function endOfString(body: Buffer, at: number): number {
  for (let next = at + 1; next < body.length; next++) {
    if (body[next] === backslash) next++
    else if (body[next] === quote) return next + 1
  }
  return body.length
}

/** Keys are short; a long one is not `model`, and one with escapes may be. */
function readKey(body: Buffer, start: number, end: number): string | null {
  if (end - start > 64) return null
  return JSON.parse(body.toString('utf8', start, end)) as string
}
