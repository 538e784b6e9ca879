import { describe, expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { chooseNode } from './choose-node.ts'

const idle = () => 0
const node = (id: string, ...models: Parameters<typeof aModel>[]) =>
  new FakeNode(
    'http://127.0.0.1:1',
    models.map((args) => aModel(...args)),
    id,
    id,
  )

describe('choosing a node', () => {
  test('prefers a model in memory, then one on its way, then one on disk, then one that failed', () => {
    const nodes = [
      node('failed', ['m', { state: 'failed' }]),
      node('disk', ['m', { state: 'disk' }]),
      node('loading', ['m', { state: 'loading' }]),
      node('ready', ['m', { state: 'ready' }]),
    ]
    for (const expected of ['ready', 'loading', 'disk', 'failed']) {
      expect(chooseNode('m', nodes, idle).node.id).toBe(expected)
      nodes.splice(
        nodes.findIndex((candidate) => candidate.id === expected),
        1,
      )
    }
  })

  test('prefers the less busy of two equals and says so', () => {
    const choice = chooseNode('m', [node('a', ['m']), node('b', ['m'])], (id) => (id === 'a' ? 3 : 1))
    expect(choice.node.id).toBe('b')
    expect(choice.route).toBe('ready; least busy of 2 (1 before)')
  })

  test('passes over nodes that are gone and files that cannot be used', () => {
    const gone = node('gone', ['m'])
    const state = gone.state()
    gone.state = () => ({ ...state, state: 'gone' })
    expect(() => chooseNode('m', [gone], idle)).toThrow(expect.objectContaining({ code: 'model_not_found' }))
    const broken = node('broken', ['m', { problem: 'it is cut after 5 MB.' }])
    expect(() => chooseNode('m', [broken], idle)).toThrow(/it is cut after 5 MB/)
  })

  test('finds another case only when there is no doubt which model is meant', () => {
    expect(chooseNode('QWEN', [node('a', ['qwen'])], idle).model.id).toBe('qwen')
    expect(() => chooseNode('QWEN', [node('a', ['qwen'], ['Qwen'])], idle)).toThrow(/no model "QWEN"/)
  })

  test('names what exists when the model does not', () => {
    expect(() => chooseNode('x', [node('a')], idle)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('holon pull') }),
    )
    const many = node('a', ...Array.from({ length: 12 }, (_, index): [string] => [`m${index}`]))
    expect(() => chooseNode('x', [many], idle)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('and 4 more') }),
    )
  })
})
