/** Reading what a foreign server says without trusting its shape. */

export function field(value: unknown, ...path: string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}

/** The objects of a list; nothing when it is none. */
export function rows(value: unknown): Record<string, unknown>[] {
  if (!Array.isArray(value)) return []
  return value.filter((row) => typeof row === 'object' && row !== null && !Array.isArray(row))
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

export function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** A count above zero: engines say 0 for what they do not know. */
export function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : null
}

/** "8.0B", "494.03M", "30B-A3B" as a number of parameters. */
export function paramsOf(words: unknown): number | null {
  const [, figure, unit] = /^\s*([\d.]+)\s*([KMBT])/i.exec(typeof words === 'string' ? words : '') ?? []
  if (figure === undefined || unit === undefined) return null
  const scale = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[unit.toUpperCase()]
  return scale === undefined ? null : Math.round(Number(figure) * scale)
}
