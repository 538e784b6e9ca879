/** The gauges of all placements that were ever asked for, and of their nodes. They outlive a node's absence. Pure. */
import type { FleetNode, Placement } from '../catalogue/edition.ts'
import { Gauge, NodeGauge, worthOf } from './gauge.ts'
import { Usual } from './usual.ts'

const sweepAbove = 20_000

export class Gauges {
  private readonly gauges = new Map<string, Gauge>()
  private readonly nodes = new Map<string, NodeGauge>()
  private readonly usual = new Map<string, Usual>()
  private readonly numbered: (Gauge | undefined)[] = []
  private readonly free: number[] = []
  private sweepAt = sweepAbove

  of(placement: Placement): Gauge {
    const { node, model, edition } = placement
    const key = `${node.handle.id}\n${model.id}`
    let gauge = this.gauges.get(key)
    if (gauge === undefined) {
      if (this.gauges.size >= this.sweepAt) this.sweep()
      const number = this.free.pop() ?? this.numbered.length
      gauge = new Gauge(number, placement, this.ofNode(node), this.usualOf(edition.identity.canonical))
      this.numbered[number] = gauge
      this.gauges.set(key, gauge)
    }
    if (gauge.placement !== placement) {
      gauge.placement = placement
      gauge.seen = null
    }
    gauge.worth = worthOf(edition.quality)
    return gauge
  }

  byNumber(number: number): Gauge | undefined {
    return this.numbered[number]
  }

  private ofNode({ handle }: FleetNode): NodeGauge {
    let gauge = this.nodes.get(handle.id)
    if (gauge === undefined) {
      gauge = new NodeGauge()
      this.nodes.set(handle.id, gauge)
    }
    return gauge
  }

  private usualOf(canonical: string): Usual {
    let usual = this.usual.get(canonical)
    if (usual === undefined) {
      usual = new Usual()
      this.usual.set(canonical, usual)
    }
    return usual
  }

  /** Forgets what is nowhere now: a fleet whose nodes and models come and go for ever is not remembered for ever. */
  private sweep(): void {
    const nodes = new Set<NodeGauge>()
    const names = new Set<string>()
    for (const [key, gauge] of this.gauges) {
      const { placement, number } = gauge
      if (gauge.inFlight > 0 || placement.edition.holders[placement.at] === placement) {
        nodes.add(gauge.node)
        names.add(placement.edition.identity.canonical)
        continue
      }
      this.gauges.delete(key)
      this.numbered[number] = undefined
      this.free.push(number)
    }
    for (const [id, node] of this.nodes) if (!nodes.has(node)) this.nodes.delete(id)
    for (const name of this.usual.keys()) if (!names.has(name)) this.usual.delete(name)
    this.sweepAt = Math.max(sweepAbove, this.gauges.size * 2)
  }
}
