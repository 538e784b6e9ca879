/**
 * GBNF for the whole numbers from `min` to `max`, either of which may be open. Plain digits only: a grammar that lets
 * an integer have an exponent produced `566162461E534`.
 */
export function integerRange(min: bigint | null, max: bigint | null): string {
  if (min !== null && max !== null && min > max)
    throw new RangeError(`no whole number is from ${min} to ${max}`)
  const parts: string[] = []
  if (min === null || min < 0n) {
    const smallest = max !== null && max < 0n ? -max : 1n
    parts.push(`"-" (${magnitudes(smallest, min === null ? null : -min)})`)
  }
  if (max === null || max >= 0n) {
    parts.push(magnitudes(min !== null && min > 0n ? min : 0n, max))
  }
  return parts.join(' | ')
}

/** Digits of numbers without a sign beyond this are not exact in JSON readers anyway. */
const mostDigits = 16

/** Numbers without a sign from `low` to `high`, without leading zeros. */
function magnitudes(low: bigint, high: bigint | null): string {
  const parts: string[] = []
  const from = String(low)
  const to = high === null ? null : String(high)
  const longest = to === null ? from.length : to.length
  for (let length = from.length; length <= longest; length++) {
    const least = length === from.length ? from : `1${'0'.repeat(length - 1)}`
    const most = to !== null && length === to.length ? to : '9'.repeat(length)
    parts.push(sameLength(least, most))
  }
  if (to === null && from.length < mostDigits) {
    parts.push(`[1-9] [0-9]{${from.length},${mostDigits - 1}}`)
  }
  return parts.join(' | ')
}

/** Two bounds with equally many digits. */
function sameLength(low: string, high: string): string {
  if (low === high) return `"${low}"`
  if (low.length === 1) return range(low, high)
  const rest = low.length - 1
  const lowest = '0'.repeat(rest)
  const highest = '9'.repeat(rest)
  const [first, last] = [low[0] as string, high[0] as string]
  if (first === last) return `"${first}" (${sameLength(low.slice(1), high.slice(1))})`
  const parts: string[] = []
  let [from, to] = [Number(first), Number(last)]
  if (low.slice(1) !== lowest) {
    parts.push(`"${first}" (${sameLength(low.slice(1), highest)})`)
    from++
  }
  const cut = high.slice(1) !== highest
  if (cut) to--
  if (from <= to) parts.push(`${range(String(from), String(to))} [0-9]{${rest}}`)
  if (cut) parts.push(`"${last}" (${sameLength(lowest, high.slice(1))})`)
  return parts.join(' | ')
}

function range(low: string, high: string): string {
  return low === high ? `"${low}"` : `[${low}-${high}]`
}
