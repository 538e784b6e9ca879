import { GiB } from '../core/units.ts'
import type { ChipFact } from '../facts/index.ts'

/**
 * How much of a machine's memory a model may occupy. On a Mac the live limit is read by the profile; for machines one
 * does not own yet the stock limits measured on macOS are used. Percentages of RAM are wrong for everything else.
 */

export interface UsableMemory {
  /** A model may occupy this much. */
  limitBytes: number
  /** Kept for the system and others: total less limit. */
  reserveBytes: number
  how: string
  /** True when no such size was measured and the nearest class stands in. */
  estimated: boolean
}

/** Share of RAM that stock macOS lets the GPU wire, by size in GB and release (measured values only where `measured`). */
const wiredShare: { upToGb: number; before26: number; since26: number; measured: boolean }[] = [
  { upToGb: 16, before26: 0.667, since26: 0.74, measured: true },
  { upToGb: 24, before26: 0.667, since26: 0.74, measured: true },
  { upToGb: 36, before26: 0.667, since26: 0.78, measured: false },
  { upToGb: 48, before26: 0.75, since26: 0.78, measured: true },
  { upToGb: 64, before26: 0.75, since26: 0.81, measured: false },
  { upToGb: 96, before26: 0.75, since26: 0.82, measured: false },
  { upToGb: 128, before26: 0.75, since26: 0.84, measured: true },
  { upToGb: Number.POSITIVE_INFINITY, before26: 0.75, since26: 0.84, measured: false },
]

/** Other processes on a Mac hold wired memory too; plans closer than this to the limit have died in prefill. */
const MAC_MARGIN_BYTES = 2e9

function macLimit(totalBytes: number, macos: number): UsableMemory {
  const gb = totalBytes / GiB
  const row = wiredShare.find((entry) => gb <= entry.upToGb + 0.5) ?? wiredShare.at(-1)!
  const share = macos >= 26 ? row.since26 : row.before26
  const wired = totalBytes * share
  const limitBytes = Math.max(0, wired - Math.min(MAC_MARGIN_BYTES, wired * 0.1))
  return {
    limitBytes,
    reserveBytes: totalBytes - limitBytes,
    how: `stock wired limit of macOS ${macos >= 26 ? '26' : 'before 26'}: ${Math.round(share * 100)} % of ${Math.round(gb)} GiB, less a margin; iogpu.wired_limit_mb raises it`,
    estimated: !row.measured,
  }
}

/**
 * @param totalBytes memory of the machine, or of its cards together for discrete GPUs
 * @param macos major release; 26 when not stated
 */
export function usableMemory(chip: ChipFact, totalBytes: number, cards = 1, macos = 26): UsableMemory {
  if (chip.vendor === 'Apple') return macLimit(totalBytes, macos)
  if (chip.tier === 'discrete') {
    const reserve = Math.min(0.6e9 * cards, totalBytes * 0.2)
    return {
      limitBytes: totalBytes - reserve,
      reserveBytes: reserve,
      how: `memory of ${cards === 1 ? 'the card' : `${cards} cards`} less 0.6 GB each for driver and display`,
      estimated: false,
    }
  }
  const share = chip.id === 'dgx-spark-gb10' ? 119.7 / 128 : chip.tier === 'apu' ? 0.9 : 1
  const reserve = Math.max(totalBytes * (1 - share), Math.min(4e9, Math.max(1e9, totalBytes * 0.2)))
  return {
    limitBytes: Math.max(0, totalBytes - reserve),
    reserveBytes: Math.min(totalBytes, reserve),
    how:
      chip.id === 'dgx-spark-gb10'
        ? '119.7 of 128 GiB are exposed'
        : 'memory less what the system needs (1 to 4 GB)',
    estimated: chip.tier === 'apu',
  }
}
