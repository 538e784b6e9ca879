import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { replay, samplePath } from '../../test/profile/samples.ts'
import { GiB, MiB } from '../core/units.ts'
import { parseCpuinfo, parseCpuList, parseOsRelease, readLastLevelCache, readLinux } from './linux.ts'
import { runCommand } from './run-command.ts'

const machine = (folder: string) =>
  readLinux(
    replay(/4090|dgx/.test(folder) ? { 'nvidia-smi': `${folder}/nvidia-smi.csv` } : {}),
    samplePath(folder),
  )

describe('a Linux machine', () => {
  it('without a GPU is read whole (a real capture)', async () => {
    const facts = await machine('linux-epyc-2-cores')
    expect(facts.chip).toBe('AMD EPYC')
    expect(facts.os).toMatchObject({ platform: 'linux', name: 'Debian GNU/Linux', version: '12' })
    expect(facts.cpuCores).toEqual({ physical: 2, logical: availableParallelism(), performance: null })
    expect(facts.cpuFlags).toEqual(
      'sse4_2 avx f16c fma avx2 avx_vnni avx512 avx512_vnni avx512_bf16'.split(' '),
    )
    expect(facts.gpus).toEqual([])
    expect(facts.memory.totalBytes).toBe(24_684_092 * 1024)
    expect(facts.usable.how).toContain('no GPU with memory of its own')
  })

  it('with two RTX 4090 adds their memory up, and counts cores, not threads', async () => {
    const facts = await machine('linux-hybrid-rtx-4090')
    expect(facts.cpuCores).toMatchObject({ physical: 6, performance: 2 })
    expect(facts.gpus.map((gpu) => gpu.name)).toEqual([
      'NVIDIA GeForce RTX 4090',
      'NVIDIA GeForce RTX 4090',
      'Raptor Lake-S GT1 [UHD Graphics 770]',
    ])
    expect(facts.gpus[0]).toMatchObject({
      memoryBytes: 24_564 * MiB,
      memoryUsedBytes: 812 * MiB,
      unified: false,
      driver: '580.95.05',
    })
    expect(facts.usable).toEqual({
      bytes: 2 * 24_564 * MiB,
      how: 'memory of 2 cards (NVIDIA GeForce RTX 4090 …), as its driver reports it',
    })
  })

  it('with an NVIDIA card but no driver still shows the card, with its memory unknown', async () => {
    const facts = await readLinux(async () => null, samplePath('linux-hybrid-rtx-4090'))
    expect(facts.gpus[0]).toMatchObject({
      name: 'AD102 [GeForce RTX 4090]',
      vendor: 'nvidia',
      memoryBytes: null,
    })
    expect(facts.usable.how).toContain('main memory less')
  })

  it('that is a DGX Spark shares its memory: nvidia-smi answers [N/A]', async () => {
    const facts = await machine('linux-dgx-spark')
    expect(facts.chip).toBe('NVIDIA_DGX_Spark')
    expect(facts.gpus[0]).toMatchObject({
      name: 'NVIDIA GB10',
      unified: true,
      memoryBytes: 125_514_744 * 1024,
    })
    expect(facts.usable.how).toContain('NVIDIA GB10 shares main memory')
    expect(facts.cpuCores).toMatchObject({ physical: 4, performance: 2 })
    expect(facts.cpuFlags).toEqual(['neon', 'fp16', 'dotprod', 'i8mm', 'bf16', 'sve', 'sve2'])
  })

  it('that is a Strix Halo lets its GPU use main memory', async () => {
    const facts = await machine('linux-strix-halo')
    expect(facts.cpuCores.physical).toBe(4)
    expect(facts.gpus).toEqual([
      {
        name: 'AMD Radeon 8060S Graphics',
        vendor: 'amd',
        cores: null,
        memoryBytes: 512 * MiB + 120 * GiB,
        memoryUsedBytes: 150 * MiB + 60 * MiB,
        unified: true,
        driver: 'amdgpu',
      },
    ])
    expect(facts.usable.how).toContain('lets AMD Radeon 8060S Graphics use')
  })

  it('with a Radeon card is not confused by the graphics inside its processor', async () => {
    const facts = await machine('linux-rx-7900-xtx')
    expect(facts.gpus.map((gpu) => [gpu.name, gpu.unified])).toEqual([
      ['AMD Radeon RX 7900 XTX', false],
      ['Raphael', true],
    ])
    expect(facts.usable.bytes).toBe(25_753_026_560)
    expect(facts.cpuCores.physical).toBe(2)
  })

  it('that is a Raspberry Pi has the name of its board, and no topology that it does not tell', async () => {
    const facts = await machine('linux-raspberry-pi-5')
    expect(facts.chip).toBe('Raspberry Pi 5 Model B Rev 1.0')
    expect(facts.cpuCores).toMatchObject({ physical: null, performance: null })
  })

  it('that is a container has the memory it was given, caches not counted as used', async () => {
    const { memory } = await machine('linux-container-8-gib')
    expect(memory.totalBytes).toBe(8 * GiB)
    expect(memory.availableBytes).toBe(8 * GiB - (3_221_225_472 - 2_000_000_000))
  })

  it('with nothing readable gives nothing, and no error', async () => {
    const facts = await readLinux(async () => null, samplePath('no-such-machine'))
    expect(facts).toMatchObject({ chip: null, gpus: [], memory: { totalBytes: 0 } })
  })

  it.runIf(process.platform === 'linux')('under this test is the one the tools describe', async () => {
    const facts = await readLinux(runCommand)
    const nproc = Number(await runCommand('nproc', []))
    expect(facts.cpuCores.logical).toBe(nproc)
    expect(facts.memory.totalBytes).toBeGreaterThan(0)
    expect(facts.memory.availableBytes).toBeLessThanOrEqual(facts.memory.totalBytes)
  })
})

describe('readLastLevelCache', () => {
  it('adds up the caches that are apart, and counts a shared one once', async () => {
    expect(await readLastLevelCache(samplePath('linux-epyc-2-cores'))).toBe(32 * MiB)
    expect(await readLastLevelCache(samplePath('linux-hybrid-rtx-4090'))).toBe(36 * MiB)
    expect(await readLastLevelCache(samplePath('linux-raspberry-pi-5'))).toBeNull()
  })
})

describe('small formats', () => {
  it('reads lists of processors', () => {
    expect(parseCpuList('0-3,8,10-11\n')).toEqual([0, 1, 2, 3, 8, 10, 11])
    expect(parseCpuList('\n')).toEqual([])
    expect(parseCpuList('three')).toEqual([])
  })

  it('counts cores over several sockets', () => {
    const core = (socket: number, id: number) => `model name : X\nphysical id : ${socket}\ncore id : ${id}\n`
    const text = [core(0, 0), core(0, 0), core(0, 1), core(1, 0), core(1, 1)].join('\n')
    expect(parseCpuinfo(text).physicalCores).toBe(4)
  })

  it('reads os-release with and without quotation marks', () => {
    expect(parseOsRelease('NAME=Fedora\nVERSION_ID=43\n')).toEqual({ name: 'Fedora', version: '43' })
  })
})
