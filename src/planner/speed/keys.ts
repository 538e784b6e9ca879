import type { Engine } from '../engine-name.ts'
import { chipKeys, era, type Member, type Setup } from './setup.ts'

/** The keys under which effects are looked up. Lists are kept, since thousands of placements share a few. */

export type KeyLists = Readonly<Record<string, readonly string[]>>

const kept = new WeakMap<Engine, Map<string, KeyLists>>()
/** A fleet has few kinds of case; more than this is a caller in a loop over made-up hardware. */
const MOST_KEPT = 4096

/** The lists for this case, made once. Everything a list depends on must be in the name. */
export function keyLists(setup: Setup, member: Member, what: string, make: () => KeyLists): KeyLists {
  const { engine, backend, model, quant } = setup
  const { chip, count, smallHost } = member.hardware
  const name = `${what}|${chip.id}|${count}|${smallHost}|${backend}|${quant.class}|${model.kv.kind}|${model.kv.stateBytes > 2e6}|${model.moe !== null}|${model.layers > 48}|${setup.draft}|${setup.flash}|${setup.year}`
  let lists = kept.get(engine)
  if (!lists || lists.size > MOST_KEPT) {
    lists = new Map()
    kept.set(engine, lists)
  }
  const known = lists.get(name)
  if (known) return known
  const made = make()
  lists.set(name, made)
  return made
}

export const vendorOf = (member: Member): string =>
  member.hardware.chip.kind === 'cpu' ? 'cpu' : member.hardware.chip.vendor

export function commonKeys(setup: Setup, member: Member): string[] {
  const { engine, backend, model } = setup
  const keys = [...chipKeys(member), `backend:${backend}`, `engine:${engine.family}`]
  if (engine.wrapper) keys.push(`wrapper:${engine.wrapper}`)
  if (engine.flavour) keys.push(`flavour:${engine.flavour}`)
  if (model.moe) keys.push('moe')
  if (model.kv.kind === 'hybrid') keys.push(model.kv.stateBytes > 2e6 ? 'hybrid' : 'hybrid:conv')
  if (member.hardware.smallHost) keys.push('host:small')
  return keys
}

/** Years matter for the engines whose kernels were rewritten; others carry it in their name. */
export function eraKeys(setup: Setup): string[] {
  if (setup.engine.family !== 'llama.cpp') return []
  const age = era(setup.year)
  return [age, `${age}/${setup.backend}`]
}

/** Flash attention as stated, else the habit of the build's year. */
export function flashKey(setup: Setup): string {
  if (setup.engine.family !== 'llama.cpp') return 'flash:own'
  const on = setup.flash ?? (setup.year === null || setup.year >= 2025.6)
  return on ? 'flash:on' : 'flash:off'
}
