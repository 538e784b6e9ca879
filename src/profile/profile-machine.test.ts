import { existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Home, homeAt } from '../core/home.ts'
import { type EngineFound, machineProfile } from '../protocol/machine.ts'
import { chipCandidates, profileMachine, withoutDoubles } from './profile-machine.ts'

const newHome = (): Home => homeAt(mkdtempSync(join(tmpdir(), 'holon-profile-')))
const env = { PATH: '' }

const engine = (id: string, more: Partial<EngineFound> = {}): EngineFound => ({
  ...{ id, available: true, version: '1', path: null, url: null, models: [], whyNot: null, hint: null },
  ...more,
})

describe('profileMachine', () => {
  it('describes this machine in the agreed form, and changes nothing on it', async () => {
    const home = newHome()
    const driver = { detect: async () => engine('embedded') }
    const profile = await profileMachine({ home, drivers: [driver], env })
    expect(machineProfile.parse(profile)).toEqual(profile)
    expect(profile.hostname).toBe(hostname())
    expect(profile.engines).toContainEqual(engine('embedded'))
    expect(profile.memory.availableBytes).toBeGreaterThan(0)
    expect(profile.memory.usableBytes).toBeGreaterThan(0)
    expect(profile.disk.freeBytes).toBeGreaterThan(0)
    expect(profile.bandwidth).toEqual([])
    expect(readdirSync(home.root)).toEqual([])
  })

  it('does not count what Holon holds as used by others', async () => {
    const home = newHome()
    const without = await profileMachine({ home, env })
    const holding = without.memory.totalBytes
    const profile = await profileMachine({ home, env, heldByHolonBytes: holding })
    expect(profile.memory.usedByOthersBytes).toBe(0)
  })

  it('measures the bandwidth once and gives it from then on', async () => {
    const home = newHome()
    const { bandwidth } = await profileMachine({ home, env, measure: true })
    expect(bandwidth[0]?.threads).toBe(1)
    expect((await profileMachine({ home, env })).bandwidth).toEqual(bandwidth)
  })

  it('knows the disk of a home that does not exist yet, and does not create it', async () => {
    const home = homeAt(join(newHome().root, 'not/yet'))
    const { disk } = await profileMachine({ home, env })
    expect(disk.path).toBe(home.root)
    expect(disk.totalBytes).toBeGreaterThan(0)
    expect(existsSync(home.root)).toBe(false)
  })
})

describe('chipCandidates', () => {
  it('names the card before the processor, and the memory that tells its variants apart', () => {
    const gpu = {
      ...{ name: 'Apple M6', vendor: 'apple' as const, cores: 12, memoryBytes: 11, memoryUsedBytes: null },
      ...{ unified: true, driver: 'metal' },
    }
    const memory = { totalBytes: 16, availableBytes: 8 }
    expect(chipCandidates({ gpus: [gpu], chip: 'Apple M6', memory })).toEqual([
      { name: 'Apple M6', gpuCores: 12, memoryBytes: 16 },
      { name: 'Apple M6', gpuCores: null, memoryBytes: null },
    ])
  })
})

describe('withoutDoubles', () => {
  it('drops an engine that only lies about when Holon can start it itself, and keeps one that runs', () => {
    const ours = engine('llama-server', { path: '/usr/bin/llama-server' })
    const lying = engine('llama-server', { available: false, path: '/usr/bin/llama-server' })
    const running = engine('llama-server', { url: 'http://127.0.0.1:8080' })
    const other = engine('ollama', { available: false })
    expect(withoutDoubles([ours], [lying, running, other])).toEqual([ours, running, other])
  })
})
