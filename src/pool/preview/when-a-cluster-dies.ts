/**
 * What becomes of a pool on a cluster when one of its machines dies, or the member that reaches it. Worked out as the
 * controller will: the cluster is asked again, and places the model where it can. Pure.
 */
import type { PreviewPlacement, WhenAMemberDies } from '../../protocol/pools.ts'
import type { Candidate } from './member.ts'
import type { GroupPlacement } from './placed.ts'

/** Models on servers that are no machine's own: nothing is planned for the machine that reaches them. */
const foreignServers: ReadonlySet<string> = new Set(['openai', 'vllm', 'exo'])

export function whenAClusterDies(
  { fallback }: { fallback: string | null },
  { engine, members, placement }: GroupPlacement,
): WhenAMemberDies[] {
  const [member] = members
  const gone = (node: string, why: string): WhenAMemberDies =>
    fallback === null
      ? { node, outcome: 'down', detail: `${why} Declare a model that answers meanwhile with --fallback.` }
      : { node, outcome: 'fallback', detail: `${fallback} answers instead. ${why}` }
  if (!member) return []
  if (engine.id === 'attached')
    return [
      gone(
        member.name,
        `When it or the server behind it does not answer, the pool is down, and back when it answers.`,
      ),
    ]
  const machines = placement.machines.map((dead) => {
    const other = (member.facts?.cluster?.offers ?? []).find(({ machines: on }) => !on.includes(dead))
    if (!other) return gone(dead, `${engine.title} has no placement without it.`)
    const detail = `${engine.title} places nothing anew by itself: Holon asks it to, on ${other.machines.join(', ')}`
    return { node: dead, outcome: 'rebuild' as const, detail }
  })
  return [...machines, gone(member.name, `Nobody else reaches ${engine.title}.`)]
}

/** Why a machine by itself is no placement of its own: a server that it reaches has the model. Null when it has it itself. */
export function servedBesides(model: string, { name, state }: Candidate): PreviewPlacement['whyNot'] {
  const told = state.models.find(({ id }) => id === model)
  if (told?.engine === undefined || !foreignServers.has(told.engine)) return null
  const source = told.source.replace(/^The /, 'the ')
  return `${name} has it from ${source}, whose machines are its own: it answers without a pool too, unwatched.`
}
