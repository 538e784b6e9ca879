import { formatBytes, GiB, MiB } from '../../core/units.ts'
import type { MachineProfile } from '../../protocol/machine.ts'
import { usableOnMac } from '../usable-memory.ts'
import { type Check, checkCalled } from './check.ts'

export function checkMemory(memory: MachineProfile['memory']): Check {
  const { ok, warn, fail } = checkCalled('memory', 'Memory')
  const seen = `${formatBytes(memory.availableBytes)} free of ${formatBytes(memory.totalBytes)}`
  if (memory.totalBytes === 0) {
    return warn('the system does not say how much memory there is', 'Set HOLON_MEMORY_BUDGET_MB yourself.')
  }
  if (memory.totalBytes < 2 * GiB) {
    return fail(`${seen}: too little for any model but the smallest`, 'Use a machine with 4 GiB or more.')
  }
  if (memory.availableBytes < 2 * GiB) {
    return warn(
      `${seen}: others hold ${formatBytes(memory.usedByOthersBytes)}`,
      'Close what you do not need before loading a model; otherwise the machine will swap.',
    )
  }
  return ok(`${seen}; a model may use ${formatBytes(memory.usableBytes)} (${memory.usableHow})`)
}

/** What macOS needs beside a model, or it freezes: its own 2 GiB margin and what apps hold. */
const macosNeeds = (totalBytes: number) => Math.max(4 * GiB, 0.06 * totalBytes)

/**
 * How much of its memory macOS lets the GPU use. Null elsewhere.
 * @param wiredLimitMb `sysctl iogpu.wired_limit_mb`; 0 when left alone, null when it cannot be read
 */
export function checkWiredLimit(
  machine: { platform: string; arch: string; osVersion: string; totalBytes: number },
  wiredLimitMb: number | null,
): Check | null {
  if (machine.platform !== 'darwin' || machine.arch !== 'arm64') return null
  const { ok, warn, fail } = checkCalled('wired-limit', 'GPU memory limit')
  const { totalBytes } = machine
  const stock = usableOnMac(totalBytes, 0, machine.osVersion)
  // On the smallest Macs the stock limit leaves less than that: then it is the most there is.
  const most = Math.floor(Math.max(totalBytes - macosNeeds(totalBytes), stock.bytes) / MiB)
  if (wiredLimitMb === null) {
    return warn(
      `it could not be read; ${formatBytes(stock.bytes)} is assumed (${stock.how})`,
      'Nothing to do now. If a large model fails to load, plan with less memory (HOLON_MEMORY_BUDGET_MB).',
    )
  }
  const set = `${formatBytes(wiredLimitMb * MiB)} of ${formatBytes(totalBytes)}, set by iogpu.wired_limit_mb`
  if (wiredLimitMb > most) {
    return fail(
      `${set}: macOS is left with ${formatBytes(Math.max(0, totalBytes - wiredLimitMb * MiB))} and can freeze under a large model`,
      `Lower it with \`sudo sysctl iogpu.wired_limit_mb=${most}\`.`,
    )
  }
  if (wiredLimitMb > 0 && wiredLimitMb * MiB < stock.bytes) {
    return warn(
      `${set}: less than macOS gives by itself (${formatBytes(stock.bytes)})`,
      'Give it back with `sudo sysctl iogpu.wired_limit_mb=0`.',
    )
  }
  if (wiredLimitMb > 0) return ok(`${set}; it falls back at the next restart`)
  const left = `${formatBytes(stock.bytes)} of ${formatBytes(totalBytes)} (${stock.how})`
  if (most * MiB < stock.bytes * 1.02) return ok(left)
  return ok(`${left}; \`sudo sysctl iogpu.wired_limit_mb=${most}\` gives more until the next restart`)
}
