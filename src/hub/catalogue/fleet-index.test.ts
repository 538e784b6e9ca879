import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeState } from '../../protocol/node.ts'
import { editionKey, makeEdition } from './edition.ts'
import { FleetIndex } from './fleet-index.ts'

const node = (id: string, ...models: NodeModel[]) =>
  new FakeNode('http://127.0.0.1:1', models, id, `${id}-mac`)

class Fleet {
  readonly nodes: FakeNode[] = []
  readonly index = new FleetIndex(this.nodes)

  add(one: FakeNode): void {
    this.nodes.push(one)
    one.subscribe(() => this.index.changed(one))
    this.index.changed()
  }

  remove(at: number): void {
    this.nodes.splice(at, 1)
    this.index.changed()
  }
}

/** Every model of every node, looked at one by one: what the index is to agree with. */
function scan(fleet: Fleet): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const note = (name: string, holder: string) => {
    found.set(name, [...(found.get(name) ?? []), holder])
  }
  for (const one of fleet.nodes) {
    const { state, models } = one.state()
    for (const model of state === 'gone' ? [] : models) {
      const { identity, aliases } = makeEdition('', model)
      const holder = `${one.id} ${editionKey(model)} ${model.state}`
      note(`id ${model.id}`, holder)
      note(`plain ${model.id.toLowerCase()}`, holder)
      note(`name ${identity.canonical}`, holder)
      for (const alias of aliases) note(`alias ${alias}`, holder)
    }
  }
  return found
}

function viewOf({ index }: Fleet, names: Iterable<string>): Map<string, string[]> {
  const looks: Record<string, (name: string) => ReturnType<FleetIndex['byId']>> = {
    id: (name) => index.byId(name),
    plain: (name) => index.byPlainId(name),
    name: (name) => index.byCanonical(name),
    alias: (name) => index.byAlias(name),
  }
  const view = new Map<string, string[]>()
  for (const name of names) {
    const space = name.indexOf(' ')
    const editions = looks[name.slice(0, space)]!(name.slice(space + 1))
    const holders = editions.flatMap(({ key, holders: held }) =>
      held.map(({ node: { handle }, model }) => `${handle.id} ${key} ${model.state}`),
    )
    if (holders.length > 0) view.set(name, holders)
  }
  return view
}

const sorted = (found: Map<string, string[]>) =>
  [...found].map(([name, list]) => [name, [...list].sort()]).sort()

/** Few names, so that they meet: in case, in variants, in files, and twice on one node. */
const model = fc
  .record({
    id: fc.constantFrom(
      'tiny',
      'Tiny',
      'qwen2.5-7b-instruct-q4_k_m',
      'qwen2.5-7b-instruct-q8_0',
      'llama-3.1-8b',
    ),
    path: fc.constantFrom('/m/a.gguf', '/m/B.GGUF', ''),
    source: fc.constantFrom('org/repo/a.gguf', 'org/repo', '', 'https://x/y.gguf'),
    state: fc.constantFrom('ready' as const, 'disk' as const),
    problem: fc.constantFrom(null, null, 'damaged'),
  })
  .map(({ id, ...more }) => aModel(id, more))
const models = fc.array(model, { maxLength: 4 })

type Step =
  | { what: 'join' | 'list'; at: number; models: NodeModel[] }
  | { what: 'leave' | 'gone' | 'back'; at: number }
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ what: fc.constantFrom('join' as const, 'list' as const), at: fc.nat(5), models }),
  fc.record({ what: fc.constantFrom('leave' as const, 'gone' as const, 'back' as const), at: fc.nat(5) }),
)

function take(fleet: Fleet, step: Step, number: number, gone: WeakSet<FakeNode>): void {
  if (step.what === 'join') {
    const one = node(`n${number}`, ...step.models)
    const { state } = one
    one.state = (): NodeState => ({ ...state.call(one), ...(gone.has(one) ? { state: 'gone' } : {}) })
    fleet.add(one)
    return
  }
  const at = step.at % Math.max(1, fleet.nodes.length)
  const one = fleet.nodes[at]
  if (one === undefined) return
  if ('models' in step) one.models = step.models
  else if (step.what === 'leave') fleet.remove(at)
  else {
    if (step.what === 'gone') gone.add(one)
    else gone.delete(one)
    one.changed()
  }
}

describe('the index of the fleet', () => {
  test('agrees with looking at every node, whatever comes, goes and changes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const fleet = new Fleet()
        const gone = new WeakSet<FakeNode>()
        const everSeen = new Set<string>()
        let version = -1
        let usable = ''
        for (const [number, each] of steps.entries()) {
          take(fleet, each, number, gone)
          fleet.index.refresh()
          const expected = scan(fleet)
          for (const name of expected.keys()) everSeen.add(name)
          // Names of what went must be gone too, so all that was ever seen is asked for.
          expect(sorted(viewOf(fleet, everSeen))).toEqual(sorted(expected))
          for (const edition of fleet.index.all()) {
            expect(edition.holders.map(({ at }) => at)).toEqual(edition.holders.map((_, at) => at))
          }
          const names = [...expected.keys()].filter((name) => name.startsWith('name ')).sort()
          expect([...fleet.index.names()].map((name) => `name ${name}`).sort()).toEqual(names)
          const now = usableNow(fleet)
          if (now !== usable) expect(fleet.index.version).not.toBe(version)
          version = fleet.index.version
          usable = now
        }
      }),
      { numRuns: 300 },
    )
  })

  test('reads only what changed, and tells of it', () => {
    const fleet = new Fleet()
    const [one, other] = [node('a', aModel('tiny')), node('b', aModel('tiny'))]
    fleet.add(one)
    fleet.add(other)
    const read: string[] = []
    fleet.index.onRead = ({ handle }) => read.push(handle.id)
    fleet.index.refresh()
    fleet.index.refresh()
    expect(read).toEqual(['a', 'b'])
    other.models = [aModel('tiny', { state: 'disk' })]
    other.changed()
    expect(read).toHaveLength(2)
    fleet.index.refresh()
    expect(read).toEqual(['a', 'b', 'b'])
  })

  test('keeps the placement of a model that only changed its state, and its version', () => {
    const fleet = new Fleet()
    const one = node('a', aModel('tiny'), aModel('other'))
    fleet.add(one)
    fleet.index.refresh()
    const { version } = fleet.index
    const placement = fleet.index.byId('tiny')[0]!.holders[0]!
    one.models = [aModel('tiny', { state: 'disk' }), aModel('other')]
    fleet.index.refresh()
    expect(fleet.index.byId('tiny')[0]!.holders[0]).toBe(placement)
    expect([placement.model.state, fleet.index.version]).toEqual(['disk', version])
  })

  test('a node that lists one model twice, and then once, leaves nothing of it behind', () => {
    const fleet = new Fleet()
    const one = node('a', aModel('tiny'), aModel('tiny'), aModel('other'))
    fleet.add(one)
    fleet.index.refresh()
    one.models = [aModel('other')]
    fleet.index.refresh()
    expect(fleet.index.byId('tiny')).toEqual([])
    fleet.remove(0)
    fleet.index.refresh()
    expect([...fleet.index.all()]).toEqual([])
  })

  test('finds a node by its id before one by its name', () => {
    const fleet = new Fleet()
    fleet.add(new FakeNode('', [], 'x', 'y'))
    fleet.add(new FakeNode('', [], 'y', 'z'))
    fleet.index.refresh()
    expect(['x', 'y', 'z', 'nobody'].map((name) => fleet.index.find(name)?.handle.id)).toEqual([
      'x',
      'y',
      'y',
      undefined,
    ])
  })
})

/** What a request can go to: the version must be another when this is. */
function usableNow({ nodes }: Fleet): string {
  const rows = nodes.flatMap((one) => {
    const { state, models: list } = one.state()
    return state === 'gone'
      ? []
      : list.map((each) => `${one.id} ${editionKey(each)} ${each.problem === null}`)
  })
  return rows.sort().join('\n')
}
