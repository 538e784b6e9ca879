/** The owner's changes to pins and lanes, checked before they are written. */
import { HolonError } from '../../core/errors.ts'
import { type Lane, lanes } from '../../protocol/lane.ts'
import type { FleetIndex } from './fleet-index.ts'
import { type Rule, sameRule } from './placement-rules.ts'

export interface RuleBook {
  now(): readonly Rule[]
  /** What a rule calls a model: its canonical name, or one advertised id. @throws HolonError invalid_parameter */
  nameOf(asked: string): string
  /** Writes what `next` makes of the rules, before it takes effect. @throws HolonError store_unavailable */
  change(
    type: string,
    data: Record<string, unknown>,
    next: (rules: readonly Rule[]) => readonly Rule[],
  ): Promise<void>
}

export interface PinnedNodes {
  to?: readonly string[]
  away?: readonly string[]
  background?: readonly string[]
}

const maxRules = 10_000
const isPin = ({ kind }: Rule): boolean => kind === 'to' || kind === 'away' || kind === 'background'

export class OwnerRules {
  private readonly index: FleetIndex
  private readonly book: RuleBook

  constructor(index: FleetIndex, book: RuleBook) {
    this.index = index
    this.book = book
  }

  /**
   * Pins a model to nodes, away from some, or in the background on others. What was said before of the same model and
   * node is replaced.
   * @throws HolonError invalid_parameter, not_found for a node nobody knows, store_unavailable
   */
  async pin(asked: string, nodes: PinnedNodes): Promise<void> {
    const subject = this.book.nameOf(asked)
    const said = (['to', 'away', 'background'] as const).flatMap((kind) =>
      (nodes[kind] ?? []).map((node): Rule => ({ kind, subject, object: this.nodeId(node) })),
    )
    if (said.length === 0) {
      throw new HolonError('invalid_parameter', 'A pin names at least one node.', {
        hint: 'Say where: `--to NODE`, `--away NODE` or `--background NODE`.',
      })
    }
    const named = new Set(said.map(({ object }) => object))
    if (named.size < said.length) throw new HolonError('invalid_parameter', 'A pin names a node twice.')
    await this.change('catalogue.pinned', { rules: said }, (rules) => [
      ...rules.filter((rule) => !(isPin(rule) && rule.subject === subject && named.has(rule.object))),
      ...said,
    ])
  }

  /**
   * Takes pins of a model back, all of them or the one of a node.
   * @throws HolonError not_found when there is none, store_unavailable
   */
  async unpin(asked: string, node?: string): Promise<void> {
    const subject = this.book.nameOf(asked)
    const id = node === undefined ? null : this.nodeId(node)
    const meant = (rule: Rule) =>
      isPin(rule) && rule.subject === subject && (id === null || rule.object === id)
    if (!this.book.now().some(meant)) {
      const where = node === undefined ? '' : ' there'
      throw new HolonError('not_found', `"${asked.slice(0, 200)}" is not pinned${where}.`, {
        hint: '`holon models catalogue` shows the pins.',
      })
    }
    await this.change('catalogue.unpinned', { model: subject, node: id }, (rules) =>
      rules.filter((rule) => !meant(rule)),
    )
  }

  /**
   * Offers a model or a node to these lanes alone; to all again when all are named.
   * @throws HolonError invalid_parameter, not_found for a node nobody knows, store_unavailable
   */
  async offerTo(what: { model: string } | { node: string }, to: readonly Lane[]): Promise<void> {
    const kind = 'model' in what ? 'model-lane' : 'node-lane'
    const subject = 'model' in what ? this.book.nameOf(what.model) : this.nodeId(what.node)
    const named = lanes.every((lane) => to.includes(lane)) ? [] : [...new Set(to)]
    await this.change('catalogue.lanes', { [kind]: subject, lanes: to }, (rules) => [
      ...rules.filter((rule) => rule.kind !== kind || rule.subject !== subject),
      ...named.map((lane): Rule => ({ kind, subject, object: lane })),
    ])
  }

  private change(
    type: string,
    data: Record<string, unknown>,
    next: (rules: readonly Rule[]) => Rule[],
  ): Promise<void> {
    return this.book.change(type, data, (before) => {
      const rules = next(before)
      if (rules.length > maxRules)
        throw new HolonError('usage', `There can be at most ${maxRules} pins and lanes.`)
      const isSame =
        rules.length === before.length && rules.every((rule) => before.some((other) => sameRule(rule, other)))
      return isSame ? before : rules
    })
  }

  private nodeId(asked: string): string {
    this.index.refresh()
    const node = this.index.find(asked)
    if (node !== null) return node.handle.id
    // One that is away now keeps the pins it has, and they can be taken back.
    const isNamed = (rule: Rule) => (rule.kind === 'node-lane' ? rule.subject : rule.object) === asked
    if (this.book.now().some(isNamed)) return asked
    const names = [...this.index.nodes.keys()].map(({ name }) => `"${name}"`).slice(0, 8)
    throw new HolonError('not_found', `There is no node "${asked.slice(0, 100)}" here.`, {
      hint: `The nodes here are ${names.join(', ')}.`,
    })
  }
}
