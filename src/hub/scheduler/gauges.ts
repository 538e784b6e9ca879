/** The gauges of all placements that were ever asked for, and of their nodes. They outlive a node's absence. Pure. */
import type { FleetNode, Placement } from '../catalogue/edition.ts'
import { Gauge, NodeGauge } from './gauge.ts'
import { HotNumbers } from './hot-numbers.ts'
import { type Lesson, lessonOf, stillGood, teach } from './lesson.ts'
import { Usual } from './usual.ts'

const sweepAbove = 20_000
const keyOf = (nodeId: string, modelId: string): string => `${nodeId}\n${modelId}`

export class Gauges {
  readonly numbers = new HotNumbers()
  private readonly gauges = new Map<string, Gauge>()
  private readonly nodes = new Map<string, NodeGauge>()
  private readonly usual = new Map<string, Usual>()
  private readonly placed = new Map<number, Gauge>()
  /** Of an earlier life of the hub, by node and model, until they are asked for. */
  private readonly lessons = new Map<string, Lesson>()
  private stale: NodeGauge[] = []
  private sweepAt = sweepAbove

  /** @returns the gauge, and whether its placement is another than before, so that its numbers must be made anew */
  of(placement: Placement): { gauge: Gauge; isNew: boolean } {
    const { node, model, edition } = placement
    const key = keyOf(node.handle.id, model.id)
    let gauge = this.gauges.get(key)
    if (gauge === undefined || gauge.placement.edition !== edition) {
      if (gauge !== undefined) this.drop(gauge)
      else if (this.gauges.size >= this.sweepAt) this.sweep()
      const of = this.usualOf(edition.identity.canonical)
      gauge = new Gauge(placement, this.ofNode(node), of, this.numbers)
      const lesson = this.lessons.get(key)
      this.lessons.delete(key)
      if (lesson !== undefined) teach(gauge, lesson)
      this.gauges.set(key, gauge)
      this.placed.set(gauge.at, gauge)
      return { gauge, isNew: true }
    }
    const isNew = gauge.placement !== placement
    gauge.placement = placement
    return { gauge, isNew }
  }

  recall(lessons: readonly Lesson[]): void {
    for (const lesson of lessons) {
      const key = keyOf(lesson.node, lesson.model)
      if (!this.gauges.has(key)) this.lessons.set(key, lesson)
    }
  }

  /** Whether an earlier life learned of it, and this one has not asked for it yet. */
  isRecalled({ node, model }: Placement): boolean {
    return this.lessons.has(keyOf(node.handle.id, model.id))
  }

  /** All that is worth keeping for the next life. */
  learned(nowS: number): Lesson[] {
    const own = [...this.gauges.values()].map((gauge) => lessonOf(gauge, nowS))
    const earlier = [...this.lessons.values()].map((lesson) => stillGood(lesson, nowS))
    return [...own, ...earlier].filter((lesson) => lesson !== null)
  }

  /** Of one node; empty for one that was never asked for anything. */
  on(nodeId: string): readonly Gauge[] {
    return this.nodes.get(nodeId)?.gauges ?? []
  }

  at(place: number): Gauge | undefined {
    return this.placed.get(place)
  }

  /** The node has a new picture. */
  changed({ handle }: FleetNode): void {
    const node = this.nodes.get(handle.id)
    if (node === undefined || node.isStale) return
    node.isStale = true
    this.stale.push(node)
  }

  /** Gauges of nodes that changed since the last call. */
  takeStale(): readonly NodeGauge[] {
    if (this.stale.length === 0) return this.stale
    const taken = this.stale
    this.stale = []
    for (const node of taken) node.isStale = false
    return taken
  }

  private ofNode({ handle }: FleetNode): NodeGauge {
    let gauge = this.nodes.get(handle.id)
    if (gauge === undefined) {
      gauge = new NodeGauge(this.numbers)
      this.nodes.set(handle.id, gauge)
    }
    return gauge
  }

  private usualOf(canonical: string): Usual {
    let usual = this.usual.get(canonical)
    if (usual === undefined) {
      usual = new Usual(this.numbers)
      this.usual.set(canonical, usual)
    }
    return usual
  }

  /** Another model goes by its id now. What is still answered there keeps its numbers. */
  private drop(gauge: Gauge): void {
    if (gauge.get('inFlight') > 0) return
    this.placed.delete(gauge.at)
    gauge.forget()
  }

  /** Forgets what is nowhere now: a fleet whose nodes and models come and go for ever is not remembered for ever. */
  private sweep(): void {
    for (const [key, gauge] of this.gauges) {
      const { placement } = gauge
      if (gauge.get('inFlight') > 0 || placement.edition.holders[placement.at] === placement) continue
      this.gauges.delete(key)
      this.drop(gauge)
    }
    const used = new Set([...this.gauges.values()].map(({ usual }) => usual))
    for (const [name, usual] of this.usual) {
      if (used.has(usual)) continue
      this.usual.delete(name)
      usual.forget()
    }
    for (const [id, node] of this.nodes) {
      if (node.gauges.length > 0) continue
      this.nodes.delete(id)
      node.forget()
    }
    this.sweepAt = Math.max(sweepAbove, this.gauges.size * 2)
  }
}
