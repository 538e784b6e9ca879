import { expect, test } from 'vitest'
import { tooOldToPool } from './find-mlx.ts'
import { activePorts } from './inspect.ts'

test('RDMA ports count when they are up, whatever their order', () => {
  const text = [
    'hca_id: rdma_en2',
    '\ttransport:\t\t\tThunderbolt (100)',
    '\t\tport:\t1',
    '\t\t\tstate:\t\t\tPORT_DOWN (1)',
    'hca_id: rdma_en5',
    '\ttransport:\t\t\tThunderbolt (100)',
    '\t\tport:\t1',
    '\t\t\tstate:\t\t\tPORT_ACTIVE (4)',
  ].join('\n')
  expect(activePorts(text)).toEqual(['rdma_en5'])
  expect(activePorts('No IB devices found')).toEqual([])
  expect(activePorts(null)).toEqual([])
})

test('mlx_lm.server serves over several machines from 0.31 on', () => {
  expect(['0.29.1', '0.30.9', '0.31.0', '0.32.2', '1.0.0'].map(tooOldToPool)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})
