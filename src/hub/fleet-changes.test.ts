import { expect, test } from 'vitest'
import { aModel, FakeNode } from '../../test/hub/fake-node.ts'
import { changesSince, takePicture } from './fleet-changes.ts'

test('models that become ready, fail or go away are told once, and nothing else is', () => {
  const node = new FakeNode('http://127.0.0.1:1', [aModel('a', { state: 'disk' }), aModel('b')])
  const start = takePicture([node.state()])
  expect(changesSince(takePicture([]), [node.state()]).map((change) => change.type)).toEqual([
    'node.ready',
    'model.ready',
  ])
  expect(changesSince(start, [node.state()])).toEqual([])
  node.models = [aModel('a', { state: 'loading' }), aModel('b', { state: 'disk' })]
  expect(changesSince(start, [node.state()])).toEqual([
    { type: 'model.unloaded', data: { node: 'node-1', model: 'b' } },
  ])
  const loading = takePicture([node.state()])
  node.models = [aModel('a', { state: 'failed', failure: 'It is cut.' }), aModel('b', { state: 'ready' })]
  expect(changesSince(loading, [node.state()])).toEqual([
    { type: 'model.failed', data: { node: 'node-1', model: 'a', why: 'It is cut.' } },
    { type: 'model.ready', data: { node: 'node-1', model: 'b' } },
  ])
})
