import { describe, expect, it } from 'vitest'
import { replay, sample } from '../../test/profile/samples.ts'
import { GiB, MiB } from '../core/units.ts'
import { parseDisplays, parseSwVers, parseSysctl, parseVmStat, readDarwin } from './darwin.ts'

const mac = (folder: string) =>
  readDarwin(
    replay({
      'sysctl hw': `${folder}/sysctl-hw.txt`,
      'sysctl machdep.cpu': `${folder}/sysctl-machdep-cpu.txt`,
      ...(folder === 'macos-intel'
        ? {}
        : { 'sysctl -n iogpu.wired_limit_mb': `${folder}/sysctl-wired-limit.txt` }),
      sw_vers: `${folder}/sw_vers.txt`,
      vm_stat: `${folder}/vm_stat.txt`,
      'system_profiler SPDisplaysDataType': `${folder}/displays.txt`,
      'system_profiler SPThunderboltDataType': `${folder}/thunderbolt.txt`,
    }),
  )

describe('a Mac', () => {
  it('is read whole: an M3 Ultra with 512 GiB', async () => {
    const facts = await mac('macos-m3-ultra-512')
    expect(facts.os).toEqual({ platform: 'darwin', name: 'macOS', version: '26.1', arch: 'arm64' })
    expect(facts.chip).toBe('Apple M3 Ultra')
    expect(facts.cpuCores).toEqual({ physical: 32, logical: 32, performance: 24 })
    expect(facts.cpuFlags).toEqual(['neon', 'fp16', 'dotprod', 'i8mm', 'bf16'])
    expect(facts.memory.totalBytes).toBe(512 * GiB)
    expect(facts.gpus).toEqual([
      {
        name: 'Apple M3 Ultra',
        vendor: 'apple',
        cores: 80,
        memoryBytes: facts.usable.bytes,
        memoryUsedBytes: null,
        unified: true,
        driver: 'metal',
      },
    ])
    expect(facts.usable.how).toMatch(/^estimate: 84 %/)
  })

  it('has its name from the model field: an M1 calls itself kHW_AppleM1Item elsewhere', async () => {
    const facts = await mac('macos-m1-16')
    expect(facts.gpus[0]).toMatchObject({ name: 'Apple M1', cores: 8 })
    expect(facts.usable.bytes / GiB).toBeCloseTo(10.67, 1)
    expect(facts.usable.how).toContain('measured on other 16 GiB Macs with macOS 13 to 15')
  })

  it('has the wired limit its owner set, when it was set', async () => {
    const facts = await mac('macos-m4-max-128')
    expect(facts.usable).toEqual({
      bytes: 122_880 * MiB,
      how: 'GPU wired limit, read from iogpu.wired_limit_mb=122880',
    })
    expect(facts.cpuFlags).toContain('sme')
  })

  it('with an Intel chip runs models on its CPU, whatever cards it has', async () => {
    const facts = await mac('macos-intel')
    expect(facts.os.arch).toBe('x64')
    expect(facts.cpuCores).toEqual({ physical: 8, logical: 16, performance: null })
    expect(facts.cpuFlags).toEqual(['sse4_2', 'avx', 'f16c', 'fma', 'avx2'])
    expect(facts.gpus.map((gpu) => [gpu.name, gpu.vendor, gpu.memoryBytes])).toEqual([
      ['Intel UHD Graphics 630', 'intel', null],
      ['AMD Radeon Pro 5500M', 'amd', 8 * GiB],
    ])
    expect(facts.usable.how).toContain('Intel Mac')
  })

  it('that answers nothing at all gives nothing, and no error', async () => {
    const facts = await readDarwin(async () => null)
    expect(facts).toMatchObject({ chip: null, gpus: [], thunderbolt: [], cpuFlags: [] })
    expect(facts.cpuCores.physical).toBeNull()
  })
})

describe('parseVmStat', () => {
  it('counts as Activity Monitor does: wired, compressed and anonymous memory is used, caches are not', () => {
    const free = parseVmStat(sample('macos-m4-max-128/vm_stat.txt'), 128 * GiB)!
    const used = 8 * GiB + 1 * GiB + 60 * GiB - 4000 * 16_384
    expect(free).toBe(128 * GiB - used)
  })

  it('uses the page size that is named', () => {
    const free = parseVmStat(sample('macos-intel/vm_stat.txt'), 32 * GiB)!
    expect(free).toBe(32 * GiB - (900_000 + 200_000 + 2_400_000 - 20_000) * 4096)
  })

  it('does not guess from half an answer', () => {
    expect(
      parseVmStat('Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free: 5.\n', GiB),
    ).toBeNull()
    expect(parseVmStat(null, GiB)).toBeNull()
  })
})

describe('damaged answers', () => {
  it('are no answers', () => {
    expect(parseDisplays('{"SPDisplaysDataType": "none"}')).toEqual([])
    expect(parseDisplays('{"SPDisplaysDataType": [null, 7]}')).toEqual([])
    expect(parseDisplays('<plist>')).toEqual([])
    expect(parseSysctl('unknown oid').size).toBe(0)
    expect(parseSwVers('')).toEqual({ name: 'macOS', version: 'unknown' })
  })
})
