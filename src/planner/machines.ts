import { HolonError } from '../core/errors.ts'
import { GiB } from '../core/units.ts'
import { type ChipFact, chips, nearest } from '../facts/index.ts'
import type { MachineProfile } from '../protocol/machine.ts'
import { type Hardware, parseHardware } from './chip-name.ts'
import type { Pace } from './pace.ts'
import type { Member } from './speed/setup.ts'
import { type UsableMemory, usableMemory } from './usable-memory.ts'

/** A machine to plan for: named hardware ("4x m3-ultra-80c:512gb"), or a profile of one that is here. */
export interface Machine {
  /** Unique in the plan: "m3-ultra-80c:512gb #2", or the node's name. */
  id: string
  hardware: Hardware
  memoryBytes: number
  usable: UsableMemory
  /** Facts behind it that nobody verified, and what was assumed. */
  doubts: string[]
  /** What its own answers said of it; nothing where nobody listened. */
  pace?: Pace | null
}

export const memberOf = (machine: Machine): Member => ({
  hardware: machine.hardware,
  memoryBytes: machine.memoryBytes,
  pace: machine.pace ?? null,
})

/** Equal machines are planned for once: a hundred of three kinds are three. */
export function kindOf(one: Machine): string {
  const known = kinds.get(one)
  if (known !== undefined) return known
  const pace = one.pace ? `|${one.pace.decode}|${one.pace.prefill}` : ''
  const kind = `${one.hardware.chip.id}|${one.hardware.count}|${one.memoryBytes}|${one.usable.limitBytes}${pace}`
  kinds.set(one, kind)
  return kind
}
const kinds = new WeakMap<Machine, string>()

/** Physical memory is made in powers of two whatever the label says. */
const fromLabel = (gb: number): number => gb * GiB

function machine(id: string, hardware: Hardware, memoryBytes: number, usable: UsableMemory): Machine {
  const { chip } = hardware
  const doubts = [...hardware.assumed.map((text) => `taken as ${text}`)]
  if (chip.unverified) doubts.push(`${chip.id} is unverified: ${chip.missing ?? 'not re-read'}`)
  if (usable.estimated) doubts.push(`the memory limit of ${id} is an estimate for its class`)
  return { id, hardware, memoryBytes, usable, doubts }
}

function unknownChip(text: string): HolonError {
  const near = nearest(
    text.replace(/^\d+ ?x ?/i, '').replace(/:.*$/, ''),
    chips.map((chip) => chip.id),
  )
  const list = near.length > 0 ? `Did you mean ${near.join(', ')}? ` : ''
  return new HolonError('invalid_parameter', `No chip called "${text}" is known.`, {
    param: 'on',
    hint: `${list}Give figures by hand with custom:BANDWIDTH_GB_S:MEMORY_GB[:TFLOPS], for example custom:546:128:16.`,
  })
}

/** "custom:546:128:16" is 546 GB/s, 128 GB, 16 TFLOPS. */
function customChip(text: string): { chip: ChipFact; gb: number } {
  const [, bandwidth, memory, tflops] = text.split(':').map(Number)
  const sane = (value: number | undefined, most: number) => value !== undefined && value > 0 && value <= most
  if (!sane(bandwidth, 20_000) || !sane(memory, 100_000) || (tflops !== undefined && !sane(tflops, 10_000)))
    throw new HolonError(
      'invalid_parameter',
      `"${text}" is not custom:BANDWIDTH_GB_S:MEMORY_GB[:TFLOPS] with sensible figures.`,
      {
        param: 'on',
        hint: 'For example custom:546:128:16 for 546 GB/s, 128 GB and 16 TFLOPS.',
      },
    )
  return {
    gb: memory as number,
    chip: {
      id: `custom-${bandwidth}`,
      name: `${bandwidth} GB/s by hand`,
      vendor: 'by hand',
      family: 'custom',
      tier: 'apu',
      kind: 'gpu',
      memory_bandwidth_gb_s: bandwidth as number,
      matmul_tflops: tflops ?? Math.max(0.2, (bandwidth as number) / 30),
      matmul_how: tflops === undefined ? 'guessed from the bandwidth' : 'given by hand',
      unified_memory: true,
      source: 'given by hand',
      unverified: true,
      missing: 'figures given by hand',
    },
  }
}

/**
 * Machines named on the command line: parts separated by commas, each "[N x ]CHIP[:MEMORYgb]".
 * @throws HolonError invalid_parameter for an unknown chip (with the nearest names) or an absurd count or memory
 */
export function parseMachines(text: string, macos = 26): Machine[] {
  const machines: Machine[] = []
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue
    const counted = /^(\d+) ?x ?(.+)$/i.exec(part)
    const count = counted ? Number(counted[1]) : 1
    const name = (counted ? counted[2] : part) as string
    if (count < 1 || count > 1000)
      throw new HolonError(
        'invalid_parameter',
        `"${part}" asks for ${count} machines; from 1 to 1000 are possible.`,
        { param: 'on' },
      )
    const one = oneMachine(name, macos)
    for (let i = 0; i < count; i++) {
      const taken = machines.filter(
        (other) => other.id === one.id || other.id.startsWith(`${one.id} #`),
      ).length
      machines.push({ ...one, id: count === 1 && taken === 0 ? one.id : `${one.id} #${taken + 1}` })
    }
  }
  if (machines.length === 0)
    throw new HolonError('invalid_parameter', 'No machine is named.', {
      param: 'on',
      hint: 'For example --on "2x m3-ultra-80c:512gb".',
    })
  return machines
}

function oneMachine(name: string, macos: number): Machine {
  if (name.startsWith('custom:')) {
    const { chip, gb } = customChip(name)
    const bytes = fromLabel(gb)
    return machine(name, { chip, count: 1, smallHost: false, assumed: [] }, bytes, usableMemory(chip, bytes))
  }
  const memory = /:(\d+(?:\.\d+)?) ?g(?:i?b)?$/i.exec(name)
  const label = memory ? Number(memory[1]) : null
  if (label !== null && !(label > 0 && label <= 100_000))
    throw new HolonError('invalid_parameter', `${label} GB of memory in "${name}" is not possible.`, {
      param: 'on',
    })
  const hardware = parseHardware(memory ? name.slice(0, memory.index) : name, null, label)
  if (!hardware) throw unknownChip(name)
  const options = hardware.chip.memory_options_gb ?? []
  const gb = label ?? (options.length > 0 ? Math.max(...options) * hardware.count : 16)
  const bytes = fromLabel(gb)
  const usable = usableMemory(hardware.chip, bytes, hardware.count, macos)
  const id = `${hardware.count > 1 ? `${hardware.count}-card ` : ''}${hardware.chip.id}:${gb}gb`
  const made = machine(id, hardware, bytes, usable)
  if (label === null && options.length > 1)
    made.doubts.push(
      `${gb} GB of memory assumed for ${hardware.chip.id}; others have ${options.join(', ')} GB`,
    )
  return made
}

/** A machine from its profile: measured bandwidth and the live memory limit win over the facts. */
export function machineFromProfile(profile: MachineProfile, id = profile.hostname): Machine {
  const stated = profile.chipId ?? profile.gpus[0]?.name ?? profile.chip
  const known = parseHardware(stated, profile.gpus[0]?.cores ?? null) ?? parseHardware(profile.chip)
  const measured = Math.max(0, ...profile.bandwidth.map((run) => run.readBytesS)) / 1e9
  const chip = known?.chip ?? processorChip(profile, measured)
  const gpuMemory = profile.gpus
    .filter((card) => !card.unified)
    .reduce((sum, card) => sum + (card.memoryBytes ?? 0), 0)
  const memoryBytes = chip.tier === 'discrete' && gpuMemory > 0 ? gpuMemory : profile.memory.totalBytes
  const limitBytes = Math.max(0, Math.min(memoryBytes, profile.memory.usableBytes))
  const usable: UsableMemory = {
    limitBytes,
    reserveBytes: memoryBytes - limitBytes,
    how: profile.memory.usableHow,
    estimated: false,
  }
  const hardware: Hardware = {
    chip,
    count: known?.count ?? 1,
    smallHost: false,
    assumed: known?.assumed ?? [],
  }
  return machine(id, hardware, memoryBytes, usable)
}

/**
 * Single-precision operations of one core in one cycle: two multiply-adds as wide as the registers. AVX-512 is done in two
 * halves by Zen 4, which lacks AVX-VNNI; cores that have both (Zen 5, Xeon since Sapphire Rapids) do all of it at once.
 */
function flopsPerCycle(flags: readonly string[]): number {
  const has = (name: string) => flags.includes(name)
  if (has('avx512') && has('avx_vnni')) return 64
  return has('avx2') || has('avx512') ? 32 : 8
}

/** Of a core when all are busy, where nobody measured it. */
const USUAL_CLOCK_HZ = 3e9

/** A chip nobody has listed, from what was measured on it. */
function processorChip(profile: MachineProfile, measuredGbS: number): ChipFact {
  // A program may be held to fewer processors than the machine has; `logical` is what is left to it.
  const { physical, logical } = profile.cpuCores
  const cores = Math.min(physical ?? logical, logical)
  const clockHz = profile.bandwidth.at(-1)?.clockHz
  return {
    id: 'this-processor',
    name: profile.chip,
    vendor: 'other',
    family: 'cpu-x86',
    tier: 'cpu',
    kind: 'cpu',
    // What was measured is what there is: an engine that read faster than a plain read would be a wonder.
    memory_bandwidth_gb_s: measuredGbS > 0 ? measuredGbS : 40,
    matmul_tflops: Math.max(
      0.02,
      (cores * (clockHz ?? USUAL_CLOCK_HZ) * flopsPerCycle(profile.cpuFlags)) / 1e12,
    ),
    matmul_how: `cores x ${clockHz === undefined ? '3 GHz' : 'measured clock'} x SIMD width`,
    unified_memory: false,
    source: measuredGbS > 0 ? 'bandwidth measured on this machine' : 'typical dual-channel memory',
    unverified: measuredGbS <= 0,
    missing: measuredGbS > 0 ? undefined : 'memory bandwidth not measured (`holon profile --measure`)',
  }
}
