/**
 * Whether the cables that an owner vouches for are there. A name that is wrong must not pass in silence: the wire would be
 * encrypted where the owner counts on a bare cable, or bare where another cable was meant. Pure.
 */
import { HolonError } from '../../core/errors.ts'
import type { NetworkInterface } from '../../protocol/pool.ts'

export interface VouchingMember {
  id: string
  name: string
  /** Null when it did not say. */
  interfaces: readonly NetworkInterface[] | null
}

const form = 'It takes NODE:INTERFACE, once for the end of each member, such as `oak:en5`.'

/** @throws HolonError invalid_parameter naming the interfaces that are there */
export function refuseUnknownLinks(links: readonly string[], members: readonly VouchingMember[]): void {
  if (links.length === 0) return
  const vouched = new Set<VouchingMember>()
  for (const link of links) vouched.add(memberOf(link, members))
  const without = members.find((member) => !vouched.has(member))
  if (without)
    throw refusal(
      `No cable of ${without.name} is vouched for; an isolated link needs an end at each member.`,
      `${told(without)} ${form}`,
    )
}

function memberOf(link: string, members: readonly VouchingMember[]): VouchingMember {
  const member = members.find(({ id, name }) => link.startsWith(`${name}:`) || link.startsWith(`${id}:`))
  if (!member) {
    const names = members.map(({ name }) => name).join(', ')
    throw refusal(`"${link}" names no member of this pool.`, `${form} The members are ${names}.`)
  }
  const { id, name, interfaces } = member
  const wanted = link.slice((link.startsWith(`${name}:`) ? name : id).length + 1)
  if (interfaces === null || interfaces.some((each) => each.name === wanted)) return member
  throw refusal(`${name} has no interface called "${wanted}".`, told(member))
}

/** What it has, without its loopback, which leads to no other machine. */
function told({ name, interfaces }: VouchingMember): string {
  const cables = new Map<string, string[]>()
  for (const each of interfaces ?? [])
    if (each.kind !== 'loopback') cables.set(each.name, [...(cables.get(each.name) ?? []), each.address])
  if (cables.size === 0) return `${name} told of no interface that leads to another machine.`
  const list = [...cables].map(([cable, addresses]) => `${cable} (${addresses.join(', ')})`)
  return `${name} has ${list.join(', ')}.`
}

const refusal = (message: string, hint: string): HolonError =>
  new HolonError('invalid_parameter', message, { param: 'isolatedLinks', hint })
