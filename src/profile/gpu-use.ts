/** Which GPUs an engine can compute on, by the names engines give their devices. */
import type { EngineFound, Gpu } from '../protocol/machine.ts'
import type { SystemFacts, Usable } from './system-facts.ts'
import { usableMainMemory } from './usable-memory.ts'

const devicesFor: Record<Gpu['vendor'], readonly string[]> = {
  apple: ['metal'],
  nvidia: ['cuda', 'vulkan'],
  amd: ['rocm', 'vulkan'],
  intel: ['vulkan', 'sycl'],
  other: ['vulkan'],
}

export const computesOn = (engine: EngineFound, gpu: Gpu): boolean =>
  engine.devices?.some((device) => devicesFor[gpu.vendor].includes(device)) ?? false

/** Engines that can serve a model: now, or once Holon has fetched them. */
export const usableEngines = (engines: readonly EngineFound[]): EngineFound[] =>
  engines.filter((engine) => engine.available || engine.onFirstUse)

/**
 * What a model may occupy with the engines that are here. The memory of a card counts only if some engine computes on
 * it: a budget of 48 GB of VRAM would drive a machine with 32 GB and a CPU-only engine into swap. An engine that does
 * not tell its devices gets the benefit of the doubt.
 */
export function usableWith(system: SystemFacts, engines: readonly EngineFound[]): Usable {
  const cards = system.gpus.filter((gpu) => gpu.memoryBytes !== null && gpu.vendor !== 'intel')
  const able = usableEngines(engines)
  const idle = able.every((engine) => engine.devices && !cards.some((card) => computesOn(engine, card)))
  if (cards.length === 0 || able.length === 0 || !idle) return system.usable
  return usableMainMemory(system.memory.totalBytes, `no engine here computes on ${cards[0]?.name}`)
}
