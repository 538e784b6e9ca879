/** What a Linux machine says about itself: /proc, /sys, os-release, nvidia-smi. The parsers take text and return data. */
import { readdir } from 'node:fs/promises'
import { arch, availableParallelism, release } from 'node:os'
import { join } from 'node:path'
import { MiB } from '../core/units.ts'
import type { Gpu } from '../protocol/machine.ts'
import { amdGpu, type DrmDevice, driverOf, nameInPciIds } from './amd.ts'
import { relevantFlags } from './cpu-flags.ts'
import { readMemory } from './memory.ts'
import { readNvidia } from './nvidia.ts'
import { readText } from './read-text.ts'
import type { Run } from './run-command.ts'
import type { SystemFacts } from './system-facts.ts'
import { usableOnGpus } from './usable-memory.ts'

export interface CpuInfo {
  model: string | null
  flags: string[]
  physicalCores: number | null
}

/** x86 names model and flags per logical core; Arm has "Features" and no name, a Raspberry Pi a "Model" at the end. */
export function parseCpuinfo(text: string | null): CpuInfo {
  const blocks = (text ?? '').split(/\n\s*\n/)
  const field = (block: string, name: string) =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(block)?.[1]?.trim() ?? null
  const first = blocks[0] ?? ''
  const cores = blocks.map((block) => {
    const core = field(block, 'core id')
    return core === null ? null : `${field(block, 'physical id') ?? '0'}:${core}`
  })
  const known = new Set(cores.filter((core) => core !== null))
  return {
    model: field(first, 'model name') ?? field(text ?? '', 'Model'),
    flags: (field(first, 'flags') ?? field(first, 'Features') ?? '').split(/\s+/).filter(Boolean),
    physicalCores: known.size || null,
  }
}

/** `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"` and its kin. */
export function parseOsRelease(text: string | null): { name: string; version: string } {
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text ?? '')?.[1]
  return { name: field('NAME') ?? 'Linux', version: field('VERSION_ID') ?? release() }
}

/** "0-3,8,10-11" → the numbers. */
export function parseCpuList(text: string | null): number[] {
  return (text ?? '')
    .trim()
    .split(',')
    .flatMap((part) => {
      const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
      if (from === undefined) return []
      const last = Number(to ?? from)
      return Array.from({ length: Math.max(0, last - Number(from) + 1) }, (_, index) => Number(from) + index)
    })
}

interface Topology {
  physical: number | null
  performance: number | null
}

/** Threads of one core share their siblings' list. Performance cores are told apart only where the chip has two kinds. */
export async function readTopology(root: string): Promise<Topology> {
  const cpus = join(root, 'sys/devices/system/cpu')
  const online = parseCpuList(await readText(join(cpus, 'online')))
  const siblings = await Promise.all(
    online.map((cpu) => readText(join(cpus, `cpu${cpu}/topology/thread_siblings_list`))),
  )
  const capacities = await Promise.all(online.map((cpu) => readText(join(cpus, `cpu${cpu}/cpu_capacity`))))
  const coreOf = new Map(online.map((cpu, index) => [cpu, siblings[index] ?? null]))
  const coresAmong = (list: readonly number[]) =>
    new Set(list.map((cpu) => coreOf.get(cpu)).filter((core) => core != null)).size || null

  // Intel's hybrid chips list their performance cores here; Arm's big cores have the highest capacity.
  const intel = parseCpuList(await readText(join(root, 'sys/devices/cpu_core/cpus')))
  const known = capacities.map((text) => Number.parseInt(text ?? '', 10))
  const highest = Math.max(...known.filter(Number.isFinite))
  const big = online.filter((_, index) => known[index] === highest)
  const fast = intel.length > 0 ? intel : big.length > 0 && big.length < online.length ? big : []
  return { physical: coresAmong(online), performance: coresAmong(fast) }
}

/** Bytes of last-level cache in the whole machine: chips made of several parts have one for each. Null when not told. */
export async function readLastLevelCache(root = '/'): Promise<number | null> {
  const cpus = join(root, 'sys/devices/system/cpu')
  const online = parseCpuList(await readText(join(cpus, 'online')))
  const caches = new Map<string, number>()
  for (const cpu of online) {
    const folder = join(cpus, `cpu${cpu}/cache/index3`)
    const [shared, size] = [
      await readText(join(folder, 'shared_cpu_list')),
      await readText(join(folder, 'size')),
    ]
    const [, amount, unit] = /^(\d+)([KM])/.exec(size ?? '') ?? []
    if (shared !== null && amount) caches.set(shared, Number(amount) * (unit === 'M' ? MiB : 1024))
  }
  return caches.size === 0 ? null : [...caches.values()].reduce((sum, bytes) => sum + bytes, 0)
}

const drmFiles = [
  ...['vendor', 'device', 'revision', 'uevent', 'product_name'],
  ...['mem_info_vram_total', 'mem_info_vram_used', 'mem_info_gtt_total', 'mem_info_gtt_used'],
] as const

/** Every graphics card the kernel knows. Its outputs (card0-HDMI-A-1) lie in the same folder. */
async function readDrmDevices(root: string): Promise<DrmDevice[]> {
  const folder = join(root, 'sys/class/drm')
  const names = await readdir(folder).catch(() => [])
  const cards = names.filter((name) => /^card\d+$/.test(name)).sort()
  return Promise.all(
    cards.map(async (card) => {
      const entries = drmFiles.map(async (file) => {
        const text = await readText(join(folder, card, 'device', file))
        return [file, file === 'uevent' ? text : (text?.trim() ?? null)]
      })
      return Object.fromEntries(await Promise.all(entries)) as DrmDevice
    }),
  )
}

async function readGpus(root: string, run: Run): Promise<Gpu[]> {
  const [nvidia, cards] = await Promise.all([readNvidia(run), readDrmDevices(root)])
  const others = cards.filter((card) => card.vendor !== '0x10de' || nvidia.length === 0)
  const named = ['0x1002', '0x8086', '0x10de']
  const wanted = others.filter((card) => named.includes(card.vendor ?? ''))
  const pciIds =
    wanted.length === 0
      ? null
      : ((await readText(join(root, 'usr/share/misc/pci.ids'))) ??
        (await readText(join(root, 'usr/share/hwdata/pci.ids'))))
  const amdgpuIds = wanted.length === 0 ? null : await readText(join(root, 'usr/share/libdrm/amdgpu.ids'))
  const found = wanted.map((card): Gpu => {
    if (card.vendor === '0x1002') return amdGpu(card, { amdgpuIds, pciIds })
    const vendor = card.vendor === '0x8086' ? 'intel' : 'nvidia'
    const name = nameInPciIds(pciIds, card.vendor, card.device) ?? `${vendor} GPU ${card.device ?? ''}`.trim()
    // Neither i915 nor nouveau says how much memory a card has.
    return {
      ...{ name, vendor, cores: null, memoryBytes: null, memoryUsedBytes: null },
      ...{ unified: vendor === 'intel', driver: driverOf(card) },
    }
  })
  return [...nvidia, ...found]
}

/** A name for a chip without one in cpuinfo: the board's, as the device tree or the firmware has it. */
async function boardName(root: string): Promise<string | null> {
  const tree = await readText(join(root, 'proc/device-tree/model'))
  const firmware = await readText(join(root, 'sys/class/dmi/id/product_name'))
  return (tree ?? firmware)?.replaceAll('\0', '').trim() || null
}

/** @param root "/" but for tests */
export async function readLinux(run: Run, root = '/'): Promise<SystemFacts> {
  const [cpuText, osText, memory, topology, gpus] = await Promise.all([
    readText(join(root, 'proc/cpuinfo')),
    readText(join(root, 'etc/os-release')),
    readMemory(root),
    readTopology(root),
    readGpus(root, run),
  ])
  const cpu = parseCpuinfo(cpuText)
  const { totalBytes, availableBytes } = memory ?? { totalBytes: 0, availableBytes: 0 }
  const shared = (gpu: Gpu) =>
    gpu.vendor === 'nvidia' && gpu.unified ? { ...gpu, memoryBytes: totalBytes } : gpu
  return {
    os: { platform: 'linux', ...parseOsRelease(osText), arch: arch() },
    chip: cpu.model ?? (await boardName(root)),
    cpuCores: {
      physical: topology.physical ?? cpu.physicalCores,
      // What this process may run on, which in a container is less than the machine has.
      logical: availableParallelism(),
      performance: topology.performance,
    },
    cpuFlags: relevantFlags(cpu.flags),
    gpus: gpus.map(shared),
    memory: { totalBytes, availableBytes },
    usable: usableOnGpus(gpus, totalBytes),
  }
}
