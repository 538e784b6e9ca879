import { describe, expect, it } from 'vitest'
import { sample, samplePath } from '../../test/profile/samples.ts'
import { GiB } from '../core/units.ts'
import { cgroupFolders, parseCgroup, parseMeminfo, readMemory, withinLimits } from './memory.ts'

describe('control groups', () => {
  it('are looked for from the process up to the root, in version 2', () => {
    expect(cgroupFolders('0::/user.slice/a.scope\n')).toEqual([
      { version: 2, folder: 'sys/fs/cgroup/user.slice/a.scope' },
      { version: 2, folder: 'sys/fs/cgroup/user.slice' },
      { version: 2, folder: 'sys/fs/cgroup' },
    ])
  })

  it('are looked for under the memory controller in version 1 (a real capture)', () => {
    const folders = cgroupFolders(sample('linux-epyc-2-cores/proc/self/cgroup'))
    expect(folders.filter((entry) => entry.version === 1).map((entry) => entry.folder)).toEqual([
      'sys/fs/cgroup/memory/process_api/83228f361d22028f9fa97b473b516b77',
      'sys/fs/cgroup/memory/process_api',
      'sys/fs/cgroup/memory',
    ])
  })

  it('cannot lead out of their folder', () => {
    expect(cgroupFolders('0::/../../etc\n').map((entry) => entry.folder)).toEqual([
      'sys/fs/cgroup/etc',
      'sys/fs/cgroup',
    ])
  })

  it('without a limit say so in two ways', () => {
    expect(parseCgroup('max\n', '100\n', null)).toBeNull()
    expect(parseCgroup('9223372036854771712\n', '100\n', null)).toBeNull()
    expect(parseCgroup(null, null, null)).toBeNull()
  })

  it('do not count caches as used; version 1 has them twice', () => {
    const stat = 'cache 5\ninactive_file 10\ntotal_inactive_file 40\n'
    expect(parseCgroup('1000\n', '100\n', stat)).toEqual({ limitBytes: 1000, usedBytes: 60 })
  })
})

describe('memory', () => {
  it('is the least of the machine and every limit above the process', () => {
    const machine = { totalBytes: 64 * GiB, availableBytes: 50 * GiB }
    const groups = [
      { limitBytes: 16 * GiB, usedBytes: 2 * GiB },
      { limitBytes: 32 * GiB, usedBytes: 30 * GiB },
    ]
    expect(withinLimits(machine, groups)).toEqual({ totalBytes: 16 * GiB, availableBytes: 2 * GiB })
  })

  it('is never less than nothing when a group is over its limit', () => {
    const over = [{ limitBytes: GiB, usedBytes: 2 * GiB }]
    expect(withinLimits({ totalBytes: 2 * GiB, availableBytes: GiB }, over).availableBytes).toBe(0)
  })

  it('of a real machine without limits is what meminfo says', async () => {
    const text = sample('linux-epyc-2-cores/proc/meminfo')
    expect(await readMemory(samplePath('linux-epyc-2-cores'))).toEqual(parseMeminfo(text))
  })

  it('is unknown, not zero, when meminfo is no meminfo', () => {
    expect(parseMeminfo('hello')).toBeNull()
    expect(parseMeminfo(null)).toBeNull()
  })
})
