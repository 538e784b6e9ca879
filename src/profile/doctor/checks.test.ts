import { describe, expect, it } from 'vitest'
import { GiB } from '../../core/units.ts'
import { checkClock } from './clock.ts'
import { checkLock } from './lock.ts'
import { checkMemory, checkWiredLimit } from './memory.ts'
import { checkNodeVersion } from './node-version.ts'
import { checkOpenFiles, readOpenFilesLimit } from './open-files.ts'
import { checkRosetta } from './rosetta.ts'

describe('Node', () => {
  it.each([
    ['20.19.0', 'ok'],
    ['20.20.2', 'ok'],
    ['24.0.0', 'ok'],
    ['20.18.3', 'fail'],
    ['18.20.0', 'fail'],
  ])('%s: %s', (version, status) => {
    expect(checkNodeVersion(version).status).toBe(status)
  })

  it('translated by Rosetta fails; elsewhere there is nothing to say', () => {
    expect(checkRosetta('darwin', 'x64', 'arm64')).toMatchObject({ status: 'fail' })
    expect(checkRosetta('darwin', 'arm64', 'arm64')).toMatchObject({ status: 'ok' })
    expect(checkRosetta('darwin', 'x64', 'x64')).toBeNull()
    expect(checkRosetta('linux', 'x64', 'x64')).toBeNull()
  })
})

describe('open files', () => {
  it('of this process are known where the system has such a limit', () => {
    if (process.platform === 'win32') expect(readOpenFilesLimit()).toBeNull()
    else expect(readOpenFilesLimit()).toBeGreaterThan(0)
  })

  it.each([
    [256, 'warn'],
    [4096, 'ok'],
    [Number.POSITIVE_INFINITY, 'ok'],
  ])('%d: %s', (limit, status) => {
    expect(checkOpenFiles(limit)?.status).toBe(status)
  })
})

describe('the lock', () => {
  it('of a running Holon, of none, and of one that died', () => {
    expect(checkLock({ running: { pid: 7, url: 'http://127.0.0.1:4656' }, stale: null }).detail).toBe(
      'Holon is up at http://127.0.0.1:4656 (process 7)',
    )
    expect(checkLock({ running: null, stale: null }).status).toBe('ok')
    expect(checkLock({ running: null, stale: { pid: 7 } })).toMatchObject({ status: 'warn' })
  })
})

describe('memory', () => {
  const memory = (total: number, available: number) => ({
    ...{
      totalBytes: total * GiB,
      availableBytes: available * GiB,
      usedByOthersBytes: (total - available) * GiB,
    },
    ...{ usableBytes: total * GiB * 0.75, usableHow: 'as read' },
  })

  it.each([
    [32, 20, 'ok'],
    [32, 1, 'warn'],
    [1, 0.5, 'fail'],
    [0, 0, 'warn'],
  ])('%d GiB with %d free: %s', (total, available, status) => {
    expect(checkMemory(memory(total, available)).status).toBe(status)
  })
})

describe('the GPU memory limit of a Mac', () => {
  const mac = { platform: 'darwin', arch: 'arm64', osVersion: '26.1', totalBytes: 128 * GiB }

  it('left alone is fine, and says how to get more', () => {
    const check = checkWiredLimit(mac, 0)
    expect(check).toMatchObject({ status: 'ok' })
    expect(check?.detail).toContain('sudo sysctl iogpu.wired_limit_mb=')
  })

  it('that leaves macOS nothing fails, and its own advice passes', () => {
    const check = checkWiredLimit(mac, 128 * 1024)
    expect(check).toMatchObject({ status: 'fail' })
    const advised = Number(/wired_limit_mb=(\d+)/.exec(check?.hint ?? '')?.[1])
    expect(checkWiredLimit(mac, advised)).toMatchObject({ status: 'ok' })
  })

  it('below what macOS gives by itself is a warning', () => {
    expect(checkWiredLimit(mac, 4096)).toMatchObject({ status: 'warn' })
  })

  it('that cannot be read is a warning, elsewhere there is none', () => {
    expect(checkWiredLimit(mac, null)).toMatchObject({ status: 'warn' })
    expect(checkWiredLimit({ ...mac, platform: 'linux' }, 0)).toBeNull()
    expect(checkWiredLimit({ ...mac, arch: 'x64' }, 0)).toBeNull()
  })

  it('never advises a limit below the stock one on the Macs that are sold', () => {
    for (const gib of [8, 16, 24, 32, 36, 48, 64, 96, 128, 256, 512]) {
      const small = { ...mac, totalBytes: gib * GiB }
      const advice = /wired_limit_mb=(\d+)/.exec(checkWiredLimit(small, 0)?.detail ?? '')?.[1]
      if (advice === undefined) expect(gib).toBeLessThanOrEqual(16)
      else expect(checkWiredLimit(small, Number(advice))).toMatchObject({ status: 'ok' })
    }
  })
})

describe('the clock', () => {
  const nowMs = Date.UTC(2027, 0, 1)
  const hub = (skewS: number, roundTripMs = 20) => ({ nowMs: nowMs - skewS * 1000, roundTripMs })

  it.each([
    [0, 'ok'],
    [-20, 'ok'],
    [60, 'warn'],
    [-60, 'warn'],
    [3600, 'fail'],
  ])('%d s away from the hub: %s', (skew, status) => {
    expect(checkClock({ nowMs, hub: hub(skew), newestFileMs: null }).status).toBe(status)
  })

  it('gets the benefit of a slow answer', () => {
    expect(checkClock({ nowMs, hub: hub(35, 10_000), newestFileMs: null }).status).toBe('ok')
  })

  it('that runs before Holon was made fails', () => {
    expect(checkClock({ nowMs: 0, hub: null, newestFileMs: null }).status).toBe('fail')
  })

  it('that was set back is seen by the files from the future', () => {
    expect(checkClock({ nowMs, hub: null, newestFileMs: nowMs + 86_400_000 }).status).toBe('warn')
    expect(checkClock({ nowMs, hub: null, newestFileMs: nowMs + 1000 }).status).toBe('ok')
  })
})
