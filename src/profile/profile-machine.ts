/** What is this machine? One answer from many small probes, none of which can hold the others up. */
import { homedir, hostname } from 'node:os'
import type { Home } from '../core/home.ts'
import type { EngineFound, MachineProfile } from '../protocol/machine.ts'
import { cachedBandwidth, keepBandwidth, type MachineIdentity } from './bandwidth/cache.ts'
import { measureBandwidth } from './bandwidth/measure.ts'
import { planBandwidth } from './bandwidth/plan.ts'
import { type ChipFact, matchChip } from './chip-id.ts'
import { readDarwin } from './darwin.ts'
import { readDisk } from './disk.ts'
import { findEngines } from './engines-found/index.ts'
import { usableWith } from './gpu-use.ts'
import { readLastLevelCache, readLinux } from './linux.ts'
import { runCommand } from './run-command.ts'
import type { SystemFacts } from './system-facts.ts'
import { readWindows } from './windows.ts'

/** What is needed of an engine driver here; `EngineDriver` has it. */
export interface Detectable {
  detect(): Promise<EngineFound>
}

export interface ProfileOptions {
  home: Home
  /** Engines Holon itself can start. */
  drivers?: readonly Detectable[]
  /** Chips of the facts, to give this machine its id there. */
  chips?: readonly ChipFact[]
  /** Measure the memory bandwidth now: up to 3 s on all cores. Otherwise an earlier measurement is given, if any. */
  measure?: boolean
  /** Memory that Holon's own engines hold, in bytes, which is not "used by others". */
  heldByHolonBytes?: number
  env?: Record<string, string | undefined>
}

/** Time for measuring the bandwidth, repeats included; setting up the memory comes on top. */
const BANDWIDTH_BUDGET_MS = 2400

/**
 * Takes well under a second without `measure` (Windows: the second that PowerShell takes to start).
 * @throws HolonError internal when `measure` was asked for and failed
 */
export async function profileMachine(options: ProfileOptions): Promise<MachineProfile> {
  const env = options.env ?? process.env
  const [system, disk, found, started] = await Promise.all([
    readSystem(),
    readDisk(options.home.root),
    findEngines({ env, userFolder: homedir() }),
    Promise.all((options.drivers ?? []).map((driver) => driver.detect())),
  ])
  const chip = system.chip ?? 'unknown'
  const { totalBytes, availableBytes } = system.memory
  const own = process.memoryUsage.rss() + (options.heldByHolonBytes ?? 0)
  const identity = {
    ...{ hostname: hostname(), chip, totalBytes },
    logicalCores: system.cpuCores.logical,
  }
  const engines = withoutDoubles(started, found)
  const usable = usableWith(system, engines)
  return {
    hostname: hostname(),
    os: system.os,
    chip,
    chipId: matchChip(chipCandidates(system), options.chips ?? []),
    cpuCores: system.cpuCores,
    cpuFlags: system.cpuFlags,
    gpus: system.gpus,
    memory: {
      totalBytes,
      availableBytes,
      usedByOthersBytes: Math.max(0, totalBytes - availableBytes - own),
      usableBytes: usable.bytes,
      usableHow: usable.how,
    },
    disk,
    bandwidth: options.measure
      ? await measureAndKeep(options.home, identity, system)
      : await cachedBandwidth(options.home, identity),
    ...(system.thunderbolt ? { thunderbolt: system.thunderbolt } : {}),
    engines,
  }
}

function readSystem(): Promise<SystemFacts> {
  if (process.platform === 'darwin') return readDarwin(runCommand)
  if (process.platform === 'win32') return readWindows(runCommand)
  return readLinux(runCommand)
}

/** The card that would hold a model comes before the processor it sits beside. */
export function chipCandidates(system: Pick<SystemFacts, 'gpus' | 'chip' | 'memory'>) {
  const gpus = system.gpus.map((gpu) => ({
    name: gpu.name,
    gpuCores: gpu.cores,
    memoryBytes: gpu.unified ? system.memory.totalBytes : gpu.memoryBytes,
  }))
  // A processor's memory says nothing about which processor it is.
  return [...gpus, { name: system.chip ?? '', gpuCores: null, memoryBytes: null }]
}

async function measureAndKeep(
  home: Home,
  identity: MachineIdentity,
  system: SystemFacts,
): Promise<MachineProfile['bandwidth']> {
  const plan = planBandwidth({
    cores: Math.min(system.cpuCores.physical ?? system.cpuCores.logical, system.cpuCores.logical),
    availableBytes: system.memory.availableBytes,
    cacheBytes: process.platform === 'linux' ? await readLastLevelCache() : null,
    budgetMs: BANDWIDTH_BUDGET_MS,
  })
  if (!plan) return cachedBandwidth(home, identity)
  const measured = await measureBandwidth(plan)
  await keepBandwidth(home, identity, measured)
  return measured
}

/** An engine that Holon can start itself is not also reported as one that merely lies about. A running one is. */
export function withoutDoubles(
  started: readonly EngineFound[],
  found: readonly EngineFound[],
): EngineFound[] {
  const ours = new Set(started.map((engine) => engine.id))
  return [...started, ...found.filter((engine) => engine.url !== null || !ours.has(engine.id))]
}
