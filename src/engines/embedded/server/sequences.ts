/** The sequences of a context and what each still holds, so that a follow-up need not read its history again. */
export interface Sequence {
  readonly id: number
  /** Tokens whose keys and values are in the cache, in order. */
  tokens: number[]
  busy: boolean
  /** When it was last used; the oldest is overwritten first. */
  usedAt: number
}

export function emptySequences(count: number): Sequence[] {
  return Array.from({ length: count }, (_, id) => ({ id, tokens: [], busy: false, usedAt: 0 }))
}

/** A shorter shared start than this share of the prompt is chance (the same system prompt), not a conversation. */
const worthKeeping = 0.1

/**
 * The free sequence that shares the longest start with the prompt, else the one least recently used.
 * `keep` is how many of its tokens stay; at least the prompt's last token is read again, for its logits.
 * There must be a free one.
 */
export function chooseSequence(
  sequences: readonly Sequence[],
  prompt: readonly number[],
): { sequence: Sequence; keep: number } {
  const free = sequences.filter((sequence) => !sequence.busy)
  const shared = free.map((sequence) => sharedStart(sequence.tokens, prompt))
  const longest = Math.max(...shared)
  if (longest >= Math.max(1, prompt.length * worthKeeping)) {
    const at = shared.indexOf(longest)
    return { sequence: free[at] as Sequence, keep: Math.min(longest, prompt.length - 1) }
  }
  const oldest = free.reduce((a, b) => (b.usedAt < a.usedAt ? b : a))
  const keep = shared[free.indexOf(oldest)] as number
  return { sequence: oldest, keep: Math.min(keep, prompt.length - 1) }
}

function sharedStart(held: readonly number[], prompt: readonly number[]): number {
  const end = Math.min(held.length, prompt.length)
  let at = 0
  while (at < end && held[at] === prompt[at]) at++
  return at
}
