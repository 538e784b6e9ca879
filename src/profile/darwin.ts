/** What a Mac says about itself: sysctl, sw_vers, vm_stat and system_profiler. The parsers take text and return data. */
import { GiB } from '../core/units.ts'
import type { Gpu } from '../protocol/machine.ts'
import { relevantFlags } from './cpu-flags.ts'
import { profilerEntries } from './profiler-entries.ts'
import type { Run } from './run-command.ts'
import type { SystemFacts } from './system-facts.ts'
import { parseThunderbolt } from './thunderbolt.ts'
import { usableMainMemory, usableOnMac } from './usable-memory.ts'

/** `name: value` lines of sysctl. */
export function parseSysctl(text: string | null): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of (text ?? '').split('\n')) {
    const match = /^([\w.]+): ?(.*)$/.exec(line)
    if (match?.[1]) values.set(match[1], match[2] ?? '')
  }
  return values
}

/** `ProductName: macOS` lines of sw_vers. */
export function parseSwVers(text: string | null): { name: string; version: string } {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text ?? '')?.[1]?.trim()
  return { name: field('ProductName') ?? 'macOS', version: field('ProductVersion') ?? 'unknown' }
}

/**
 * What a new program could take without swapping, as Activity Monitor counts it: all memory but what is wired, held
 * compressed, or anonymous and not purgeable. File caches give way and so count as free.
 */
export function parseVmStat(text: string | null, totalBytes: number): number | null {
  const pageBytes = Number(/page size of (\d+) bytes/.exec(text ?? '')?.[1])
  const pages = (name: string) => {
    const count = new RegExp(`^"?${name}"?:\\s+(\\d+)\\.`, 'm').exec(text ?? '')?.[1]
    return count === undefined ? null : Number(count)
  }
  const wired = pages('Pages wired down')
  const compressed = pages('Pages occupied by compressor')
  const anonymous = pages('Anonymous pages')
  if (!pageBytes || wired === null || compressed === null || anonymous === null) return null
  const used = wired + compressed + anonymous - (pages('Pages purgeable') ?? 0)
  return Math.min(totalBytes, Math.max(0, totalBytes - used * pageBytes))
}

interface Display {
  sppci_model?: string
  _name?: string
  sppci_cores?: string
  spdisplays_vendor?: string
  spdisplays_vram?: string
}

/** `system_profiler SPDisplaysDataType -json`. On an M1 `_name` is "kHW_AppleM1Item": the model field has the name. */
export function parseDisplays(text: string | null): Gpu[] {
  return profilerEntries<Display>(text, 'SPDisplaysDataType').map((display) => {
    const name = display.sppci_model ?? display._name ?? 'unknown GPU'
    const vendor = vendorOf(`${display.spdisplays_vendor ?? ''} ${name}`)
    const cores = Number.parseInt(display.sppci_cores ?? '', 10)
    return {
      name,
      vendor,
      cores: Number.isFinite(cores) ? cores : null,
      memoryBytes: vendor === 'apple' ? null : parseVram(display.spdisplays_vram),
      memoryUsedBytes: null,
      unified: vendor === 'apple',
      driver: vendor === 'apple' ? 'metal' : null,
    }
  })
}

function vendorOf(text: string): Gpu['vendor'] {
  if (/apple/i.test(text)) return 'apple'
  if (/\bamd\b|_amd|radeon|ati\b/i.test(text)) return 'amd'
  if (/nvidia|geforce/i.test(text)) return 'nvidia'
  return /intel/i.test(text) ? 'intel' : 'other'
}

/** "8 GB" or "1536 MB"; Apple means binary units. */
function parseVram(text: string | undefined): number | null {
  const match = /^(\d+) (MB|GB)$/.exec(text ?? '')
  return match ? Number(match[1]) * (match[2] === 'GB' ? GiB : GiB / 1024) : null
}

/** The names of instruction sets: `hw.optional…: 1` on Apple's chips, the feature lists on Intel's. */
function flagNames(hw: Map<string, string>, cpu: Map<string, string>): string[] {
  const optional = [...hw]
    .filter(([name, value]) => name.startsWith('hw.optional.') && value === '1')
    .map(([name]) => name.slice(name.lastIndexOf('.') + 1))
  const lists = ['machdep.cpu.features', 'machdep.cpu.leaf7_features']
  return [...optional, ...lists.flatMap((name) => (cpu.get(name) ?? '').split(' '))]
}

/** Everything a Mac tells, asked for at once; system_profiler is the slowest with about half a second. */
export async function readDarwin(run: Run): Promise<SystemFacts> {
  const [hwText, cpuText, limitText, versionText, vmText, displayText, thunderboltText] = await Promise.all([
    run('sysctl', ['hw']),
    run('sysctl', ['machdep.cpu']),
    run('sysctl', ['-n', 'iogpu.wired_limit_mb']),
    run('sw_vers', []),
    run('vm_stat', []),
    run('system_profiler', ['SPDisplaysDataType', '-json'], { timeoutMs: 8000 }),
    run('system_profiler', ['SPThunderboltDataType', '-json'], { timeoutMs: 8000 }),
  ])
  const hw = parseSysctl(hwText)
  const cpu = parseSysctl(cpuText)
  const number = (name: string) => {
    const value = Number.parseInt(hw.get(name) ?? '', 10)
    return Number.isFinite(value) ? value : null
  }
  const { name, version } = parseSwVers(versionText)
  const arm = hw.get('hw.optional.arm64') === '1'
  const totalBytes = number('hw.memsize') ?? 0
  const wiredLimit = Number.parseInt(limitText ?? '', 10)
  const usable = arm
    ? usableOnMac(totalBytes, Number.isFinite(wiredLimit) ? wiredLimit : null, version)
    : usableMainMemory(totalBytes, 'an Intel Mac runs models on its CPU')
  const gpus = parseDisplays(displayText).map((gpu) =>
    gpu.unified ? { ...gpu, memoryBytes: usable.bytes } : gpu,
  )
  return {
    // The machine's own architecture: under Rosetta, Node believes it is on an Intel.
    os: { platform: 'darwin', name, version, arch: arm ? 'arm64' : 'x64' },
    chip: cpu.get('machdep.cpu.brand_string') ?? null,
    cpuCores: {
      physical: number('hw.physicalcpu'),
      logical: number('hw.logicalcpu') ?? 0,
      performance: number('hw.perflevel0.physicalcpu'),
    },
    cpuFlags: relevantFlags(flagNames(hw, cpu)),
    gpus,
    memory: { totalBytes, availableBytes: parseVmStat(vmText, totalBytes) ?? 0 },
    usable,
    thunderbolt: parseThunderbolt(thunderboltText),
  }
}
