/**
 * Where each member is reached by its peers, and whether the wire is encrypted. The engine itself listens on a cable only
 * when every member's end of it was vouched for by name.
 */
import type { NodeHandle } from '../../protocol/node.ts'
import type { PartSpec } from '../../protocol/pool.ts'
import type { LinkBook } from '../links/link-book.ts'

export interface ChosenWire {
  /** In order of rank; null when no network joins a member with the head. */
  hosts: (string | null)[]
  mode: PartSpec['wire']['mode']
}

export function chooseWire(
  handles: readonly NodeHandle[],
  links: Pick<LinkBook, 'address'>,
  isolatedLinks: readonly string[],
): ChosenWire {
  const [head, ...others] = handles
  if (!head) return { hosts: [], mode: 'encrypted' }
  const accepted = (node: NodeHandle, name: string) =>
    isolatedLinks.includes(`${node.name}:${name}`) || isolatedLinks.includes(`${node.id}:${name}`)
  const ends = handles.map((node) => {
    const peer = node === head ? others[0] : head
    if (!peer) return null
    return links.address(
      peer.id,
      node.id,
      (mine, its) => accepted(node, mine.name) && accepted(peer, its.name),
    )
  })
  const isolated =
    ends.length > 1 && ends.every((end, rank) => end !== null && accepted(handles[rank] ?? head, end.name))
  return { hosts: ends.map((end) => end?.address ?? null), mode: isolated ? 'isolated' : 'encrypted' }
}
