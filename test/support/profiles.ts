/** Hardware for tests that plan: one chip of the facts with so much memory, nothing else on it. */
import type { MachineProfile } from '../../src/protocol/machine.ts'

export function aProfile(chipId: string, memoryBytes: number, hostname = chipId): MachineProfile {
  return {
    hostname,
    os: { platform: 'darwin', name: 'macOS', version: '26.2', arch: 'arm64' },
    chip: 'Apple M4 Max',
    chipId,
    cpuCores: { physical: 16, logical: 16, performance: 12 },
    cpuFlags: [],
    gpus: [],
    memory: {
      totalBytes: memoryBytes,
      availableBytes: memoryBytes,
      usedByOthersBytes: 0,
      usableBytes: memoryBytes,
      usableHow: 'what the test says',
    },
    disk: { path: '/', totalBytes: 1e12, freeBytes: 1e12 },
    bandwidth: [],
    engines: [],
  }
}
