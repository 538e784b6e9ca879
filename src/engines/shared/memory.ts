import { readFileSync } from 'node:fs'
import { freemem, platform, totalmem } from 'node:os'

/**
 * Bytes a new process could take now without swapping. Linux says so itself. macOS counts file cache as used, so
 * its free figure is far too low; three quarters of the memory is what its GPU may wire by default.
 */
export function availableMemoryBytes(): number {
  if (platform() === 'linux') {
    try {
      const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))
      if (match) return Math.min(Number(match[1]) * 1024, containerLimitBytes() ?? Number.POSITIVE_INFINITY)
    } catch {
      // Not every container shows /proc: fall through.
    }
  }
  if (platform() === 'darwin') return totalmem() * 0.75
  return freemem()
}

/** What a cgroup (a container, a systemd unit) still allows, or null without one. */
function containerLimitBytes(): number | null {
  try {
    const limit = readFileSync('/sys/fs/cgroup/memory.max', 'utf8').trim()
    if (limit === 'max') return null
    const used = Number(readFileSync('/sys/fs/cgroup/memory.current', 'utf8'))
    const stat = readFileSync('/sys/fs/cgroup/memory.stat', 'utf8')
    const cached = Number(/^inactive_file (\d+)$/m.exec(stat)?.[1] ?? 0)
    return Math.max(0, Number(limit) - used + cached)
  } catch {
    return null
  }
}
