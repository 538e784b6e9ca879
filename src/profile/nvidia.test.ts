import { expect, it } from 'vitest'
import { sample } from '../../test/profile/samples.ts'
import { MiB } from '../core/units.ts'
import { parseNvidiaSmi } from './nvidia.ts'

it('reads one card a line', () => {
  const cards = parseNvidiaSmi(sample('linux-hybrid-rtx-4090/nvidia-smi.csv'))
  expect(cards).toHaveLength(2)
  expect(cards[1]).toMatchObject({ memoryBytes: 24_564 * MiB, memoryUsedBytes: 3 * MiB })
})

it('takes [N/A] for unknown, not for zero', () => {
  expect(parseNvidiaSmi(sample('linux-dgx-spark/nvidia-smi.csv'))[0]).toMatchObject({
    memoryBytes: null,
    memoryUsedBytes: null,
    unified: true,
  })
})

it('finds no card in what is no list of cards', () => {
  expect(parseNvidiaSmi('No devices were found\n')).toEqual([])
  expect(parseNvidiaSmi('NVIDIA-SMI has failed because it could not communicate with the driver.')).toEqual(
    [],
  )
  expect(parseNvidiaSmi(null)).toEqual([])
})
