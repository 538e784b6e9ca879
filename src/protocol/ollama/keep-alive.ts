/** Ollama's `keep_alive`: a number of seconds, or a duration as Go writes it. Negative keeps the model for good. */
import { refuse } from '../openai/checks.ts'

const unitsMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}
const expected = 'a number of seconds or a duration such as "5m", "0" or "-1"'

/**
 * @returns milliseconds; Infinity for ever; undefined when nothing is said
 * @throws HolonError invalid_parameter
 */
export function readKeepAlive(value: unknown): number | undefined {
  if (value == null || value === '') return undefined
  if (typeof value === 'number' && Number.isFinite(value))
    return value < 0 ? Number.POSITIVE_INFINITY : value * 1000
  if (typeof value !== 'string' || value.length > 64) refuse('keep_alive', expected, value)
  const sign = value.startsWith('-') ? -1 : 1
  const words = value.replace(/^[-+]/, '')
  if (/^\d+(\.\d+)?$/.test(words))
    return sign < 0 && Number(words) > 0 ? Number.POSITIVE_INFINITY : Number(words) * 1000
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(words)) refuse('keep_alive', expected, value)
  let ms = 0
  for (const [, number, unit] of words.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(number) * unitsMs[unit!]!
  }
  return sign < 0 && ms > 0 ? Number.POSITIVE_INFINITY : ms
}
