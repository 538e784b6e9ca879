/** The owner's word that an engine needs which no encryption can carry, and how to give it. Pure. */
import type { PoolEngine } from '../pool-engine.ts'
import type { Candidate } from './member.ts'
import type { PoolQuestion } from './question.ts'

/** Null for an engine that the encrypted wire carries. `members` head first. */
export function vouchFor(
  question: Pick<PoolQuestion, 'link'>,
  { needsIsolatedLink }: Pick<PoolEngine, 'needsIsolatedLink'>,
  members: readonly Pick<Candidate, 'node' | 'name'>[],
): string | null {
  if (needsIsolatedLink === undefined) return null
  const flags = flagsFor(question, members)
  const how =
    flags === null
      ? 'and no network was found that joins its members'
      : `so it needs your word that their link leads to no one else: ${flags}`
  return `${needsIsolatedLink}, ${how}`
}

/** Null when two of them share no network. */
function flagsFor(
  { link }: Pick<PoolQuestion, 'link'>,
  members: readonly Pick<Candidate, 'node' | 'name'>[],
): string | null {
  const [head, ...others] = members
  if (!head) return null
  const flags = new Set<string>()
  for (const other of others) {
    const { ends } = link(head.node, other.node)
    if (ends === null) return null
    flags.add(`--accept-isolated-link ${head.name}:${ends[0]}`)
    flags.add(`--accept-isolated-link ${other.name}:${ends[1]}`)
  }
  return [...flags].join(' ')
}
