import { describe, expect, it } from 'vitest'
import { GiB } from '../core/units.ts'
import type { EngineFound, Gpu } from '../protocol/machine.ts'
import { usableWith } from './gpu-use.ts'
import type { SystemFacts } from './system-facts.ts'

const engine = (more: Partial<EngineFound>): EngineFound => ({
  ...{
    id: 'embedded',
    available: true,
    version: null,
    path: null,
    url: null,
    models: [],
    whyNot: null,
    hint: null,
  },
  ...more,
})
const card: Gpu = {
  ...{ name: 'NVIDIA GeForce RTX 4090', vendor: 'nvidia', cores: null, memoryBytes: 24 * GiB },
  ...{ memoryUsedBytes: 0, unified: false, driver: '580' },
}
const system = (gpus: Gpu[]): SystemFacts => ({
  os: { platform: 'linux', name: 'Debian', version: '12', arch: 'x64' },
  chip: 'x',
  cpuCores: { physical: 8, logical: 16, performance: null },
  cpuFlags: [],
  gpus,
  memory: { totalBytes: 32 * GiB, availableBytes: 30 * GiB },
  usable: { bytes: 48 * GiB, how: 'memory of 2 cards' },
})
const two = system([card, card])

describe('usableWith', () => {
  it('counts the cards when an engine computes on them', () => {
    expect(usableWith(two, [engine({ devices: ['cuda', 'cpu'] })])).toBe(two.usable)
    expect(usableWith(two, [engine({ devices: ['cpu'] }), engine({ devices: ['vulkan'] })])).toBe(two.usable)
  })

  it('counts main memory when every engine computes on the CPU, for the cards then hold nothing', () => {
    const usable = usableWith(two, [engine({ devices: ['cpu'] })])
    expect(usable.bytes).toBeLessThan(32 * GiB)
    expect(usable.how).toContain('no engine here computes on NVIDIA GeForce RTX 4090')
  })

  it('asks the engine that is to come', () => {
    const coming = engine({ available: false, onFirstUse: true, devices: ['cpu'] })
    expect(usableWith(two, [coming]).how).toContain('no engine here')
  })

  it('does not judge by engines that are not usable, or do not tell', () => {
    expect(usableWith(two, [engine({ available: false, devices: ['cpu'] })])).toBe(two.usable)
    expect(usableWith(two, [engine({ devices: ['cpu'] }), engine({ id: 'ollama' })])).toBe(two.usable)
    expect(usableWith(two, [])).toBe(two.usable)
  })

  it('changes nothing on a machine without a card', () => {
    const bare = system([])
    expect(usableWith(bare, [engine({ devices: ['cpu'] })])).toBe(bare.usable)
  })
})
