/**
 * The owner's word on where a model may run: pinned to nodes or away from them, in the background on some, and on
 * which lanes a model or a node serves. Pure.
 */
import { type Lane, lanes } from '../../protocol/lane.ts'
import type { Edition, FleetNode, Placement } from './edition.ts'

/**
 * `to`, `away`, `background`: subject is a model (canonical name or advertised id), object a node's id.
 * `model-lane`, `node-lane`: subject is a model or a node's id, object a lane.
 */
export const ruleKinds = ['to', 'away', 'background', 'model-lane', 'node-lane'] as const
export interface Rule {
  kind: (typeof ruleKinds)[number]
  subject: string
  object: string
}

export const sameRule = (a: Rule, b: Rule): boolean =>
  a.kind === b.kind && a.subject === b.subject && a.object === b.object

/** What the rules say of one placement. */
export interface Standing {
  /** Set when it may not serve: a sentence's end for the caller. */
  barred: 'pinned' | 'lane' | null
  /** Serves only when no other does, or those are busy beyond the lane's level. */
  background: boolean
  /** Offered to this lane by name, not only not kept from it. */
  own: boolean
}

const usual: Standing = { barred: null, background: false, own: false }

export class PlacementRules {
  private readonly bySubject = new Map<string, Rule[]>()

  constructor(rules: readonly Rule[]) {
    for (const rule of rules) {
      const key = `${rule.kind === 'node-lane' ? 'node' : 'model'} ${rule.subject}`
      const list = this.bySubject.get(key)
      if (list) list.push(rule)
      else this.bySubject.set(key, [rule])
    }
  }

  standing({ edition, node }: Placement, lane: Lane): Standing {
    if (this.bySubject.size === 0) return usual
    const { id } = node.handle
    const rules = this.ofEdition(edition)
    const pinned = rules.some(({ kind }) => kind === 'to')
    const has = (kind: Rule['kind']) => rules.some((rule) => rule.kind === kind && rule.object === id)
    const background = has('background')
    if (has('away') || (pinned && !background && !has('to')))
      return { barred: 'pinned', background, own: false }
    const serves = this.lanesOf(edition, node)
    if (serves !== null && !serves.includes(lane)) return { barred: 'lane', background, own: false }
    return { barred: null, background, own: serves !== null }
  }

  /** The lanes it was offered to by name; null when nobody said anything, and it serves on all. */
  lanesOf(edition: Edition, node: FleetNode): readonly Lane[] | null {
    const ofModel = lanesIn(this.ofEdition(edition))
    const ofNode = lanesIn(this.bySubject.get(`node ${node.handle.id}`) ?? [])
    if (ofModel === null || ofNode === null) return ofModel ?? ofNode
    return ofModel.filter((lane) => ofNode.includes(lane))
  }

  private ofEdition({ id, identity }: Edition): readonly Rule[] {
    const ofModel = this.bySubject.get(`model ${identity.canonical}`) ?? []
    if (id === identity.canonical) return ofModel
    return [...ofModel, ...(this.bySubject.get(`model ${id}`) ?? [])]
  }
}

function lanesIn(rules: readonly Rule[]): Lane[] | null {
  const named = rules.filter(({ kind }) => kind === 'model-lane' || kind === 'node-lane')
  return named.length === 0 ? null : lanes.filter((lane) => named.some(({ object }) => object === lane))
}
