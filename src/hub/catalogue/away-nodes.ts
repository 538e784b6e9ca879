/**
 * The names of nodes that pins and lanes speak of while they are away. A hub that was just started has not met them yet: its
 * owner was shown an id that nobody had ever typed, and could not name the node to take the pin back.
 */
import type { Catalogue } from './catalogue.ts'
import type { Rule } from './placement-rules.ts'

/** Every node that was ever admitted: id to name. @throws HolonError store_unavailable */
export type AdmittedNames = () => Promise<ReadonlyMap<string, string>>

/** Id to name. Asks the books only when there is such a node; what they cannot tell goes by its id. */
export async function awayNodes(
  { rules, index }: Pick<Catalogue, 'rules' | 'index'>,
  admitted: AdmittedNames,
): Promise<ReadonlyMap<string, string>> {
  index.refresh()
  const away = rules.flatMap((rule) => nodeOf(rule) ?? []).filter((id) => index.find(id) === null)
  if (away.length === 0) return new Map()
  const names = await admitted().catch((): ReadonlyMap<string, string> => new Map())
  return new Map(away.map((id) => [id, names.get(id) ?? id]))
}

/** What the rules call a node that its owner names: as it is, unless it is the name of one that is away. */
export function idOf(
  asked: string,
  { index }: Pick<Catalogue, 'index'>,
  away: ReadonlyMap<string, string>,
): string {
  if (index.find(asked) !== null) return asked
  return [...away].find(([, name]) => name === asked)?.[0] ?? asked
}

function nodeOf({ kind, subject, object }: Rule): string | null {
  if (kind === 'model-lane') return null
  return kind === 'node-lane' ? subject : object
}
