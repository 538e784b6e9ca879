/** What a placement needs on each of its machines, and how many layers a machine can hold. */
import type { Machine } from './machines.ts'
import { type MemoryRole, type MemoryUse, memoryUse } from './memory.ts'
import type { Setup } from './speed/setup.ts'

export interface MachineMemory {
  machine: string
  weightsBytes: number
  kvBytes: number
  computeBytes: number
  reserveBytes: number
  totalBytes: number
  limitBytes: number
}

export const gb = (bytes: number): string =>
  bytes < 0.95e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`

function memoryRow(machine: Machine, use: MemoryUse): MachineMemory {
  return {
    machine: machine.id,
    weightsBytes: Math.round(use.weightsBytes),
    kvBytes: Math.round(use.kvBytes),
    computeBytes: Math.round(use.computeBytes + use.overheadBytes),
    reserveBytes: Math.round(machine.usable.reserveBytes),
    totalBytes: Math.round(use.totalBytes),
    limitBytes: Math.round(machine.usable.limitBytes),
  }
}

export interface Sized {
  fits: boolean
  whyNot: string | null
  memory: MachineMemory[]
}

function overLimit(machine: Machine, use: MemoryUse): string | null {
  if (machine.usable.limitBytes <= 0)
    return `${machine.id} has no memory left for a model: its ${gb(machine.memoryBytes)} are less than the system's reserve`
  if (use.totalBytes <= machine.usable.limitBytes) return null
  const missing = gb(use.totalBytes - machine.usable.limitBytes)
  return `${machine.id} is ${missing} short: ${gb(use.weightsBytes)} weights, ${gb(use.kvBytes)} KV cache and ${gb(use.computeBytes + use.overheadBytes)} buffers do not fit ${gb(machine.usable.limitBytes)}`
}

/** llama.cpp's head, the first of a pipeline, is not like its workers; in other engines all members are alike. */
export function roleOf(setup: Setup, at: number): MemoryRole {
  if (setup.strategy !== 'pipeline' || setup.engine.family !== 'llama.cpp') return 'whole'
  return at === 0 ? 'head' : 'worker'
}

export function sized(
  setup: Setup,
  machines: readonly Machine[],
  shares: readonly number[],
  ways: number,
): Sized {
  const known = new Map<string, MemoryUse>()
  const uses = shares.map((share, at) => {
    const role = roleOf(setup, at)
    const key = `${share}|${role}`
    const use = known.get(key) ?? memoryUse(setup, share, ways, false, role)
    known.set(key, use)
    return use
  })
  const troubles = machines.map((machine, i) => overLimit(machine, uses[i]!)).filter((text) => text !== null)
  return {
    fits: troubles.length === 0,
    whyNot: troubles[0] ?? null,
    memory: machines.map((machine, i) => memoryRow(machine, uses[i]!)),
  }
}

/** Memory that one layer needs on a machine, and what it needs beside its layers. */
export function layerCapacity(setup: Setup, machine: Machine, role: MemoryRole): number {
  const layers = setup.model.layers
  const all = memoryUse(setup, 1, 1, false, role)
  const none = memoryUse(setup, 0, 1, false, role)
  const fixed = all.computeBytes + all.overheadBytes + none.weightsBytes
  const perLayer = (all.weightsBytes - none.weightsBytes + all.kvBytes) / layers
  return Math.max(0, Math.floor((machine.usable.limitBytes - fixed) / perLayer))
}
