/** NVIDIA cards, as nvidia-smi lists them on Linux and Windows. */
import { MiB } from '../core/units.ts'
import type { Gpu } from '../protocol/machine.ts'
import type { Run } from './run-command.ts'

const query = ['--query-gpu=name,memory.total,memory.used,driver_version', '--format=csv,noheader,nounits']

/**
 * One GPU a line, memory in MiB. A GB10 (DGX Spark) answers "[N/A]" for its memory because it has none of its own: that
 * is NVIDIA's documented mark of unified memory. Lines of another shape ("No devices were found") are skipped.
 */
export function parseNvidiaSmi(text: string | null): Gpu[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const cells = line.split(',').map((cell) => cell.trim())
    if (cells.length !== 4) return []
    const [name = '', total = '', used = '', driver = ''] = cells
    const memoryBytes = mebibytes(total)
    return {
      name,
      vendor: 'nvidia' as const,
      cores: null,
      memoryBytes,
      memoryUsedBytes: mebibytes(used),
      unified: memoryBytes === null,
      driver,
    }
  })
}

function mebibytes(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) * MiB : null
}

/** No cards when there is no driver. Waking a sleeping card can take nvidia-smi seconds. */
export async function readNvidia(run: Run): Promise<Gpu[]> {
  return parseNvidiaSmi(await run('nvidia-smi', query, { timeoutMs: 8000 }))
}
