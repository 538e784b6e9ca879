import { expect, it } from 'vitest'
import { GiB, MiB } from '../core/units.ts'
import { type ChipFact, matchChip } from './chip-id.ts'

const chips: ChipFact[] = [
  { id: 'm1-8c', name: 'Apple M1 (8-core GPU)', gpu_cores: 8, memory_options_gb: [8, 16] },
  { id: 'm3-ultra-60c', name: 'Apple M3 Ultra (60-core GPU)', gpu_cores: 60, memory_options_gb: [96, 256] },
  {
    id: 'm3-ultra-80c',
    name: 'Apple M3 Ultra (80-core GPU)',
    gpu_cores: 80,
    memory_options_gb: [96, 256, 512],
  },
  { id: 'm6-12c-16gb', name: 'Apple M6 (12-core GPU, 16 GB)', gpu_cores: 12, memory_options_gb: [16] },
  { id: 'm6-12c', name: 'Apple M6 (12-core GPU, 24/32 GB)', gpu_cores: 12, memory_options_gb: [24, 32] },
  { id: 'rtx-3060-12g', name: 'GeForce RTX 3060 12GB', gpu_cores: 3584, memory_options_gb: [12] },
  { id: 'rtx-4090', name: 'GeForce RTX 4090', gpu_cores: 16_384, memory_options_gb: [24] },
  { id: 'h100-sxm', name: 'H100 80GB SXM', gpu_cores: 16_896, memory_options_gb: [80] },
  { id: 'h200', name: 'H200 141GB', gpu_cores: 16_896, memory_options_gb: [141] },
  { id: 'dgx-spark-gb10', name: 'DGX Spark / GB10', gpu_cores: 6144, memory_options_gb: [128] },
  {
    id: 'strix-halo-395',
    name: 'AMD Ryzen AI Max+ 395 (Strix Halo, Radeon 8060S)',
    gpu_cores: 40,
    memory_options_gb: [32, 64, 96, 128],
  },
  { id: 'rx-7900-xtx', name: 'Radeon RX 7900 XTX', gpu_cores: 96, memory_options_gb: [24] },
  { id: 'rpi-5', name: 'Raspberry Pi 5', memory_options_gb: [2, 4, 8, 16] },
]
const match = (name: string, gpuCores: number | null = null, memoryBytes: number | null = null) =>
  matchChip([{ name, gpuCores, memoryBytes }], chips)

it.each([
  ['Apple M1', 8, 16 * GiB, 'm1-8c'],
  ['Apple M3 Ultra', 80, 512 * GiB, 'm3-ultra-80c'],
  ['Apple M3 Ultra', 60, 96 * GiB, 'm3-ultra-60c'],
  ['Apple M6', 12, 16 * GiB, 'm6-12c-16gb'],
  ['Apple M6', 12, 32 * GiB, 'm6-12c'],
  ['NVIDIA GeForce RTX 3060', null, 12_288 * MiB, 'rtx-3060-12g'],
  ['NVIDIA GeForce RTX 4090', null, 24_564 * MiB, 'rtx-4090'],
  ['NVIDIA H100 80GB HBM3', null, 81_559 * MiB, 'h100-sxm'],
  ['NVIDIA H200', null, 143_771 * MiB, 'h200'],
  ['NVIDIA GB10', null, 119.7 * GiB, 'dgx-spark-gb10'],
  ['AMD Radeon RX 7900 XTX', null, 25_753_026_560, 'rx-7900-xtx'],
  ['AMD RYZEN AI MAX+ 395 w/ Radeon 8060S', null, null, 'strix-halo-395'],
  ['Raspberry Pi 5 Model B Rev 1.0', null, null, 'rpi-5'],
])('%s with %s GPU cores is known', (name, cores, memory, id) => {
  expect(match(name, cores, memory)).toBe(id)
})

it.each([
  ['Apple M1', 7, 16 * GiB], // a variant the list does not have
  ['Apple M1', null, 16 * GiB], // cores unknown: 7 or 8?
  ['NVIDIA GeForce RTX 3060', null, 8192 * MiB], // the 8 GB card is another chip
  ['NVIDIA GeForce RTX 4090 Laptop GPU', null, 16_376 * MiB],
  ['NVIDIA GeForce RTX 4090 D', null, 24_564 * MiB],
  ['Apple', null, null],
  ['', null, null],
  ['AMD EPYC', null, null],
])('%s with %s GPU cores is not guessed at', (name, cores, memory) => {
  expect(match(name, cores, memory)).toBeNull()
})

it('takes the first candidate that is known', () => {
  const candidates = [
    { name: 'Raptor Lake-S GT1 [UHD Graphics 770]', gpuCores: null, memoryBytes: null },
    { name: 'NVIDIA GeForce RTX 4090', gpuCores: null, memoryBytes: 24_564 * MiB },
  ]
  expect(matchChip(candidates, chips)).toBe('rtx-4090')
})
