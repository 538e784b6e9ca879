/** Which models a key may use: canonical names, ids as nodes advertise them, or patterns with `*` over both. */
import { parseModelName } from '../../planner/names/index.ts'

/**
 * A name as a scope keeps it: what people call a model becomes its canonical name, whether it is here already or not; a
 * pattern, and an id that names a quant, stay as they are.
 */
export function canonicalName(name: string): string {
  if (name.includes('*')) return name.toLowerCase()
  const { canonical, quant, empty } = parseModelName(name)
  return quant !== null || empty ? name : canonical
}

export class ModelScope {
  private readonly exact = new Set<string>()
  private readonly globs: string[][] = []

  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) {
      const lower = pattern.toLowerCase()
      if (lower.includes('*')) this.globs.push(lower.split('*'))
      else this.exact.add(lower)
    }
  }

  allows(canonical: string, id: string): boolean {
    const lower = id.toLowerCase()
    if (this.exact.has(canonical) || this.exact.has(lower)) return true
    return this.globs.some((parts) => matches(parts, canonical) || matches(parts, lower))
  }
}

/** Looks for the parts between the stars one after the other: linear, unlike an expression made of a stranger's text. */
function matches(parts: readonly string[], text: string): boolean {
  const first = parts[0]!
  const last = parts.at(-1)!
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= end
}
