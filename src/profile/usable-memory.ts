/** How much memory a model may occupy. Read from the system where it tells, and otherwise said to be an estimate. */
import { formatBytes, GiB, MiB } from '../core/units.ts'
import type { Gpu } from '../protocol/machine.ts'
import type { Usable } from './system-facts.ts'

/** What the system and other programs keep on a machine whose models lie in main memory: a tenth, at least 2 GiB. */
export function mainMemoryReserve(totalBytes: number): number {
  return Math.max(2 * GiB, 0.1 * totalBytes)
}

export function usableMainMemory(totalBytes: number, why: string): Usable {
  const bytes = Math.max(0, totalBytes - mainMemoryReserve(totalBytes))
  const reserve = formatBytes(totalBytes - bytes)
  return {
    bytes: Math.floor(bytes),
    how: `${why}: main memory less ${reserve} for the system and other programs`,
  }
}

/** A discrete card with less than this serves no model of use; main memory does. */
const SMALLEST_USEFUL_VRAM = 3.5 * GiB

/** For Linux and Windows. Cards of one maker are added up: engines split a model over them. */
export function usableOnGpus(gpus: readonly Gpu[], totalBytes: number): Usable {
  const unified = gpus.find((gpu) => gpu.unified && gpu.vendor !== 'intel')
  const makers = (['nvidia', 'amd', 'intel'] as const).map((vendor) => {
    const cards = gpus.filter((gpu) => gpu.vendor === vendor && !gpu.unified && gpu.memoryBytes !== null)
    return { cards, bytes: cards.reduce((sum, card) => sum + (card.memoryBytes ?? 0), 0) }
  })
  const best = makers.reduce((most, maker) => (maker.bytes > most.bytes ? maker : most))
  if (best.bytes >= SMALLEST_USEFUL_VRAM) {
    const [first] = best.cards
    const count = best.cards.length === 1 ? first?.name : `${best.cards.length} cards (${first?.name} …)`
    return { bytes: best.bytes, how: `memory of ${count}, as its driver reports it` }
  }
  if (unified?.memoryBytes) {
    return {
      bytes: Math.min(unified.memoryBytes, totalBytes),
      how: `what the driver lets ${unified.name} use`,
    }
  }
  if (unified) return usableMainMemory(totalBytes, `${unified.name} shares main memory`)
  return usableMainMemory(totalBytes, 'no GPU with memory of its own')
}

/**
 * macOS lets the GPU wire only part of the memory. Measured stock values of Metal's recommendedMaxWorkingSetSize:
 * llmfit PR 754, exo PR 1672, sglang PR 29949, ollama#434, llama.cpp#3213 and PR 16634, ds4 PR 893.
 */
const stockShares: readonly { ram: number; fromMacos: number; share: number }[] = [
  { ram: 16, fromMacos: 26, share: 0.74 },
  { ram: 24, fromMacos: 26, share: 0.74 },
  { ram: 48, fromMacos: 26, share: 0.78 },
  { ram: 128, fromMacos: 26, share: 0.84 },
  { ram: 16, fromMacos: 13, share: 0.667 },
  { ram: 24, fromMacos: 13, share: 0.667 },
  { ram: 32, fromMacos: 13, share: 0.667 },
  { ram: 96, fromMacos: 13, share: 0.75 },
]

/**
 * @param wiredLimitMb `sysctl iogpu.wired_limit_mb`: 0 when the owner left it alone, null when it could not be read
 * @param osVersion as `sw_vers` gives it
 */
export function usableOnMac(totalBytes: number, wiredLimitMb: number | null, osVersion: string): Usable {
  if (wiredLimitMb !== null && wiredLimitMb > 0) {
    return {
      bytes: Math.min(wiredLimitMb * MiB, totalBytes),
      how: `GPU wired limit, read from iogpu.wired_limit_mb=${wiredLimitMb}`,
    }
  }
  const ram = Math.round(totalBytes / GiB)
  const macos = Number.parseInt(osVersion, 10) || 0
  const generation = macos >= 26 ? 26 : 13
  const known = stockShares.filter((row) => row.fromMacos === generation)
  const measured = known.find((row) => row.ram === ram)
  if (measured) {
    const how = `stock GPU wired limit, measured on other ${ram} GiB Macs with macOS ${generation === 26 ? '26' : '13 to 15'}`
    return { bytes: Math.floor(totalBytes * measured.share), how }
  }
  // The share grows with the memory, so the next smaller Mac that was measured is a careful estimate.
  const smaller = known.filter((row) => row.ram < ram).at(-1) ?? known[0]
  const share = smaller?.share ?? 0.667
  const how = `estimate: ${Math.round(share * 100)} % of memory, the stock GPU wired limit of the next smaller Mac that was measured`
  return { bytes: Math.floor(totalBytes * share), how }
}
