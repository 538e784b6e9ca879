/**
 * The whole fleet by every name a model can be asked for. Kept up to date node by node as they change, so that a request
 * touches only what holds its model: with ten thousand nodes, looking at each one's list for every request cost 74 ms.
 */
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import {
  type Edition,
  editionKey,
  type FleetNode,
  isSameEdition,
  makeEdition,
  type Placement,
} from './edition.ts'

const none: readonly Edition[] = []

export class FleetIndex {
  /** Another whenever a model came, went or became unusable somewhere. */
  version = 0
  readonly nodes = new Map<NodeHandle, FleetNode>()
  /** Told of every node whose picture was read anew. */
  onRead: (node: FleetNode) => void = () => undefined
  private readonly handles: readonly NodeHandle[]
  private readonly editions = new Map<string, Edition>()
  private readonly ids = new Map<string, Edition[]>()
  private readonly plainIds = new Map<string, Edition[]>()
  private readonly canonicals = new Map<string, Edition[]>()
  private readonly aliases = new Map<string, Edition[]>()
  private readonly dirty = new Set<NodeHandle>()
  private listChanged = true

  /** @param handles the fleet, as a list that its owner changes in place */
  constructor(handles: readonly NodeHandle[]) {
    this.handles = handles
  }

  /** A node changed; without one, the list did. Costs nothing until somebody looks. */
  changed(node?: NodeHandle): void {
    if (node !== undefined && this.nodes.has(node)) this.dirty.add(node)
    else this.listChanged = true
  }

  /** Takes in what changed. Every other method sees the fleet as of the last call. */
  refresh(): void {
    if (this.listChanged) this.readList()
    if (this.dirty.size === 0) return
    for (const handle of this.dirty) {
      const node = this.nodes.get(handle)
      if (!node) continue
      this.read(node)
      this.onRead(node)
    }
    this.dirty.clear()
  }

  all(): Iterable<Edition> {
    return this.editions.values()
  }

  byId(id: string): readonly Edition[] {
    return this.ids.get(id) ?? none
  }

  /** @param lower an id in lower case */
  byPlainId(lower: string): readonly Edition[] {
    return this.plainIds.get(lower) ?? none
  }

  byCanonical(name: string): readonly Edition[] {
    return this.canonicals.get(name) ?? none
  }

  /** @param lower in lower case */
  byAlias(lower: string): readonly Edition[] {
    return this.aliases.get(lower) ?? none
  }

  /** Canonical names in order of first sight. */
  names(): Iterable<string> {
    return this.canonicals.keys()
  }

  find(idOrName: string): FleetNode | null {
    for (const node of this.nodes.values()) if (node.handle.id === idOrName) return node
    for (const node of this.nodes.values()) if (node.handle.name === idOrName) return node
    return null
  }

  private readList(): void {
    this.listChanged = false
    const here = new Set(this.handles)
    for (const [handle, node] of this.nodes) {
      if (here.has(handle)) continue
      for (const placement of node.placements) this.remove(placement)
      this.nodes.delete(handle)
      this.dirty.delete(handle)
    }
    for (const handle of this.handles) {
      if (this.nodes.has(handle)) continue
      this.nodes.set(handle, { handle, state: handle.state(), placements: [] })
      this.dirty.add(handle)
    }
  }

  private read(node: FleetNode): void {
    const state = node.handle.state()
    node.state = state
    const models = state.state === 'gone' ? [] : state.models
    if (!this.isSameList(node.placements, models)) {
      this.replace(node, models)
      return
    }
    for (let at = 0; at < models.length; at++) {
      const placement = node.placements[at]!
      const model = models[at]!
      if ((placement.model.problem === null) !== (model.problem === null)) this.version++
      placement.model = model
    }
  }

  private isSameList(placements: readonly Placement[], models: readonly NodeModel[]): boolean {
    if (placements.length !== models.length) return false
    for (let at = 0; at < models.length; at++) {
      if (!isSameEdition(placements[at]!.model, models[at]!)) return false
    }
    return true
  }

  private replace(node: FleetNode, models: readonly NodeModel[]): void {
    this.version++
    const known = new Map(node.placements.map((placement) => [placement.model.id, placement]))
    // Beside the map: of a model that a node lists twice, one placement was in no map and was never removed.
    const left = new Set(node.placements)
    node.placements = models.map((model) => {
      const placement = known.get(model.id)
      if (placement === undefined || !isSameEdition(placement.model, model) || !left.delete(placement))
        return this.add(node, model)
      placement.model = model
      return placement
    })
    for (const gone of left) this.remove(gone)
  }

  private add(node: FleetNode, model: NodeModel): Placement {
    const key = editionKey(model)
    let edition = this.editions.get(key)
    if (edition === undefined) {
      edition = makeEdition(key, model)
      this.editions.set(key, edition)
      for (const [map, name] of this.namesOf(edition)) {
        const list = map.get(name)
        if (list) list.push(edition)
        else map.set(name, [edition])
      }
    }
    const placement = { node, edition, model, at: edition.holders.length }
    edition.holders.push(placement)
    return placement
  }

  private remove(placement: Placement): void {
    this.version++
    const { edition, at } = placement
    const { holders } = edition
    const last = holders.pop()!
    if (last !== placement) {
      holders[at] = last
      last.at = at
    }
    if (holders.length > 0) return
    this.editions.delete(edition.key)
    for (const [map, name] of this.namesOf(edition)) {
      const left = (map.get(name) ?? none).filter((other) => other !== edition)
      if (left.length > 0) map.set(name, left)
      else map.delete(name)
    }
  }

  private namesOf(edition: Edition): [Map<string, Edition[]>, string][] {
    return [
      [this.ids, edition.id],
      [this.plainIds, edition.id.toLowerCase()],
      [this.canonicals, edition.identity.canonical],
      ...edition.aliases.map((alias): [Map<string, Edition[]>, string] => [this.aliases, alias]),
    ]
  }
}
