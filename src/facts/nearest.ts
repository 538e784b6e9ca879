/** The nearest known names to one that is not known, for error hints ("did you mean ..."). */

/** Lower case, letters and digits only, so that "RTX-4090" and "rtx 4090" meet. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9.]+/g, '')
}

function pairs(text: string): Map<string, number> {
  const found = new Map<string, number>()
  for (let i = 0; i + 1 < text.length; i++) {
    const pair = text.slice(i, i + 2)
    found.set(pair, (found.get(pair) ?? 0) + 1)
  }
  return found
}

/** Dice similarity of letter pairs: 0 to 1. */
export function similarity(a: string, b: string): number {
  const left = plainName(a)
  const right = plainName(b)
  if (left === right) return 1
  if (left.length < 2 || right.length < 2) return 0
  const leftPairs = pairs(left)
  let shared = 0
  for (const [pair, count] of pairs(right)) shared += Math.min(count, leftPairs.get(pair) ?? 0)
  return (2 * shared) / (left.length + right.length - 2)
}

/** Up to `count` names most like `wanted`, best first; equal scores keep their order. */
export function nearest(wanted: string, names: readonly string[], count = 4): string[] {
  return names
    .map((name) => ({ name, score: similarity(wanted, name) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, count)
    .filter((candidate) => candidate.score > 0.2)
    .map((candidate) => candidate.name)
}
