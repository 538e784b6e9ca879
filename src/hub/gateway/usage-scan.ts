/**
 * Finds token counts and timings in an answer without parsing it: engines put `usage` and `timings` as plain objects
 * near the end (llama-server puts an embedding's usage near the start). Inside JSON strings a quote is escaped, so the
 * bytes `"usage":` cannot come from generated text.
 */

export interface AnswerUsage {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  /** Tokens per second, when the engine measured them itself. */
  prefillTokS: number | null
  decodeTokS: number | null
}

const usageMark = Buffer.from('"usage"')
const timingsMark = Buffer.from('"timings"')

/** The counts found in these bytes, or null when there are none. */
export function findUsage(bytes: Buffer): AnswerUsage | null {
  const usage = lastObject(bytes, usageMark)
  const timings = lastObject(bytes, timingsMark)
  if (usage === null && timings === null) return null
  const details = asRecord(usage?.prompt_tokens_details)
  const timedPrompt = count(timings?.prompt_n)
  const cached = count(details?.cached_tokens) ?? count(timings?.cache_n) ?? 0
  return {
    promptTokens: count(usage?.prompt_tokens) ?? (timedPrompt === null ? 0 : timedPrompt + cached),
    cachedTokens: cached,
    completionTokens: count(usage?.completion_tokens) ?? count(timings?.predicted_n) ?? 0,
    prefillTokS: speed(timings?.prompt_per_second),
    decodeTokS: speed(timings?.predicted_per_second),
  }
}

function lastObject(bytes: Buffer, name: Buffer): Record<string, unknown> | null {
  for (let at = bytes.lastIndexOf(name); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(name, at - 1)) {
    let start = at + name.length
    while (bytes[start] === 0x20 || bytes[start] === 0x3a) start++
    if (bytes[start] !== 0x7b) continue // "usage":null
    const end = endOfObject(bytes, start)
    if (end < 0) continue
    try {
      return asRecord(JSON.parse(bytes.toString('utf8', start, end)))
    } catch {
      // Cut or foreign: look further up.
    }
  }
  return null
}

/** Index after the brace that closes the object opened at `start`; -1 when it is not there. */
function endOfObject(bytes: Buffer, start: number): number {
  let depth = 0
  let inString = false
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]
    if (inString) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b) depth++
    else if (byte === 0x7d && --depth === 0) return at + 1
  }
  return -1
}

function asRecord(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : null
}

function speed(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null
}
