import { expect, it } from 'vitest'
import { replay, sample } from '../../test/profile/samples.ts'
import { MiB } from '../core/units.ts'
import { cardMemory, displayClass, parseCim, parseRegistry, readWindows } from './windows.ts'

const folder = 'windows-desktop'

it('reads a machine with three GPUs', async () => {
  const facts = await readWindows(
    replay({
      'powershell.exe': `${folder}/cim.txt`,
      'nvidia-smi': `${folder}/nvidia-smi.csv`,
      [`reg query ${displayClass} /s /v DriverDesc`]: `${folder}/registry-names.txt`,
      [`reg query ${displayClass} /s /v HardwareInformation.qwMemorySize`]: `${folder}/registry-sizes.txt`,
    }),
  )
  expect(facts.os).toMatchObject({
    platform: 'win32',
    name: 'Microsoft Windows 11 Pro',
    version: '10.0.26200',
  })
  expect(facts.chip).toBe('13th Gen Intel(R) Core(TM) i7-13700K')
  expect(facts.cpuCores.physical).toBe(16)
  expect(facts.gpus.map((gpu) => [gpu.name, gpu.vendor, gpu.unified, gpu.memoryBytes])).toEqual([
    ['NVIDIA GeForce RTX 4070', 'nvidia', false, 12_282 * MiB],
    ['AMD Radeon RX 7600 XT', 'amd', false, 0x3ff000000],
    ['Intel(R) UHD Graphics 770', 'intel', true, null],
  ])
  // Engines split a model over the cards of one maker, not over both.
  expect(facts.usable.bytes).toBe(0x3ff000000)
})

it('takes an object where PowerShell makes one of a list of one', () => {
  const text =
    '{"cpu":{"Name":"AMD Ryzen 5 5600X","NumberOfCores":6},"gpu":[],"os":{"Caption":"Windows","Version":"10"}}'
  expect(parseCim(text)).toMatchObject({ cpu: [{ name: 'AMD Ryzen 5 5600X', cores: 6 }], gpu: [] })
})

it('makes do with nothing', async () => {
  const facts = await readWindows(async () => null)
  expect(facts).toMatchObject({ chip: null, gpus: [], cpuFlags: [] })
  expect(parseCim('Access denied')).toEqual({ cpu: [], gpu: [], os: null })
  expect(parseCim('null')).toEqual({ cpu: [], gpu: [], os: null })
})

it('pairs names and sizes by their place in the registry', () => {
  const memory = cardMemory(
    parseRegistry(sample(`${folder}/registry-names.txt`)),
    parseRegistry(sample(`${folder}/registry-sizes.txt`)),
  )
  expect(memory.get('NVIDIA GeForce RTX 4070')).toBe(0x2ff400000)
  expect(memory.has('Intel(R) UHD Graphics 770')).toBe(false)
})
