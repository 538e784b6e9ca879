import { describe, expect, it } from 'vitest'
import { GB } from '../../core/units.ts'
import type { EngineFound, Gpu, MachineProfile } from '../../protocol/machine.ts'
import { checkEngines } from './engines.ts'

const engine = (id: string, more: Partial<EngineFound> = {}): EngineFound => ({
  ...{ id, available: true, version: null, path: null, url: null, models: [], whyNot: null, hint: null },
  ...more,
})
const gpu = (name: string, vendor: Gpu['vendor'], more: Partial<Gpu> = {}): Gpu => ({
  ...{ name, vendor, cores: null, memoryBytes: 24 * GB, memoryUsedBytes: 0, unified: false, driver: 'x' },
  ...more,
})
const machine: MachineProfile = {
  hostname: 'box',
  os: { platform: 'linux', name: 'Debian', version: '12', arch: 'x64' },
  chip: 'AMD EPYC',
  chipId: null,
  cpuCores: { physical: 2, logical: 2, performance: null },
  cpuFlags: ['sse4_2', 'avx', 'avx2', 'avx512'],
  gpus: [],
  memory: {
    totalBytes: 24 * GB,
    availableBytes: 20 * GB,
    usedByOthersBytes: 0,
    usableBytes: 20 * GB,
    usableHow: '',
  },
  disk: { path: '/h', totalBytes: 1, freeBytes: 1 },
  bandwidth: [],
  engines: [engine('embedded', { devices: ['cpu'] })],
}
const statuses = (more: Partial<MachineProfile>) =>
  Object.fromEntries(checkEngines({ ...machine, ...more }).map((check) => [check.id, check.status]))
const find = (id: string, more: Partial<MachineProfile>) =>
  checkEngines({ ...machine, ...more }).find((check) => check.id === id)

describe('engines', () => {
  it('are fine when one is ready', () => {
    expect(statuses({})).toEqual({ engines: 'ok', instructions: 'ok' })
  })

  it('fail when none is, with the reason and the hint of one that could be', () => {
    const engines = [
      engine('embedded', { available: false, whyNot: 'There is no pack.', hint: 'Install it.' }),
    ]
    expect(find('engines', { engines })).toMatchObject({
      ...{ status: 'fail', hint: 'Install it.' },
      detail: 'No engine can run a model here. embedded: There is no pack.',
    })
    expect(find('engines', { engines: [] })).toMatchObject({ status: 'fail' })
  })
})

describe('an engine that comes by itself', () => {
  const coming = engine('embedded', {
    available: false,
    onFirstUse: true,
    devices: ['cpu'],
    hint: 'It comes.',
  })

  it('is enough on a fresh machine', () => {
    const check = find('engines', { engines: [coming] })
    expect(check).toMatchObject({ status: 'ok' })
    expect(check?.detail).toContain('embedded is fetched when the first model is loaded')
  })

  it('is asked beforehand whether it will use the GPU', () => {
    const rtx = gpu('NVIDIA GeForce RTX 4090', 'nvidia')
    expect(find('gpu', { gpus: [rtx], engines: [coming] })).toMatchObject({ status: 'warn' })
    const cuda = { ...coming, devices: ['cuda', 'cpu'] }
    expect(find('gpu', { gpus: [rtx], engines: [cuda] })).toMatchObject({ status: 'ok' })
  })
})

describe('CPU instructions', () => {
  it('that an engine found here does not start without', () => {
    const check = find('instructions', { cpuFlags: ['sse4_2', 'avx'], engines: [engine('lmstudio')] })
    expect(check).toMatchObject({ status: 'warn' })
    expect(check?.detail).toContain('lmstudio needs AVX2')
  })

  it('whose lack makes everything slow', () => {
    expect(find('instructions', { cpuFlags: ['sse4_2'] })?.detail).toContain('no AVX2')
  })

  it('are not asked for where they are unknown, or on Arm', () => {
    expect(find('instructions', { cpuFlags: [] })).toBeUndefined()
    expect(find('instructions', { os: { ...machine.os, arch: 'arm64' }, cpuFlags: ['neon'] })).toBeUndefined()
  })
})

describe('a GPU', () => {
  const rtx = gpu('NVIDIA GeForce RTX 4090', 'nvidia')

  it('that no engine uses is pointed out', () => {
    const check = find('gpu', { gpus: [rtx] })
    expect(check).toMatchObject({ status: 'warn' })
    expect(check?.detail).toBe('NVIDIA GeForce RTX 4090 is idle: embedded computes on the CPU only')
    expect(check?.hint).toContain('CUDA')
  })

  it('that one engine uses is fine', () => {
    const engines = [
      engine('embedded', { devices: ['cpu'] }),
      engine('llama-server', { devices: ['cuda', 'cpu'] }),
    ]
    expect(find('gpu', { gpus: [rtx], engines })).toMatchObject({ status: 'ok' })
  })

  it('is not said to be idle when an engine does not tell what it computes on', () => {
    const engines = [engine('embedded', { devices: ['cpu'] }), engine('ollama')]
    expect(find('gpu', { gpus: [rtx], engines })).toMatchObject({ status: 'ok' })
  })

  it('without a driver that computes is pointed out', () => {
    const mute = gpu('AD102 [GeForce RTX 4090]', 'nvidia', { memoryBytes: null, driver: 'nouveau' })
    const check = find('gpu-driver', { gpus: [mute] })
    expect(check).toMatchObject({ status: 'warn' })
    expect(check?.detail).toContain('only nouveau')
  })

  it('inside an Intel processor is no matter', () => {
    const uhd = gpu('UHD Graphics 770', 'intel', { memoryBytes: null, unified: true })
    expect(statuses({ gpus: [uhd] })).toEqual({ engines: 'ok', instructions: 'ok' })
  })
})
