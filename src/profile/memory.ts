/** Memory of a Linux machine or container: what there is, what is free, and the limits set on this process. */
import { join } from 'node:path'
import { readText } from './read-text.ts'

export interface Memory {
  totalBytes: number
  availableBytes: number
}

export function parseMeminfo(text: string | null): Memory | null {
  const kibibytes = (name: string) => {
    const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text ?? '')?.[1]
    return value === undefined ? null : Number(value) * 1024
  }
  const totalBytes = kibibytes('MemTotal')
  if (totalBytes === null) return null
  // Kernels before 3.14 have no MemAvailable.
  return { totalBytes, availableBytes: kibibytes('MemAvailable') ?? kibibytes('MemFree') ?? 0 }
}

/** One control group's limit, and how much of it is taken by what cannot give way. */
export interface CgroupMemory {
  limitBytes: number
  usedBytes: number
}

/**
 * @param limit content of memory.max (v2) or memory.limit_in_bytes (v1)
 * @param usage content of memory.current or memory.usage_in_bytes
 * @param stat content of memory.stat: caches count as used there, though the kernel drops them when memory is needed
 * @returns null when there is no limit
 */
export function parseCgroup(
  limit: string | null,
  usage: string | null,
  stat: string | null,
): CgroupMemory | null {
  const limitBytes = Number((limit ?? '').trim() || Number.NaN)
  const used = Number((usage ?? '').trim() || Number.NaN)
  // v1 says "no limit" with a number near 2^63; v2 with the word "max".
  if (!Number.isFinite(limitBytes) || !Number.isFinite(used) || limitBytes > 2 ** 60) return null
  const cache = /^(?:total_)?inactive_file (\d+)$/m.exec(preferTotal(stat))?.[1]
  return { limitBytes, usedBytes: Math.max(0, used - Number(cache ?? 0)) }
}

/** In v1, `total_` figures include the groups below, as the limit does; drop the plain ones where both are. */
function preferTotal(stat: string | null): string {
  const text = stat ?? ''
  return text.includes('total_inactive_file') ? text.replace(/^inactive_file .*$/m, '') : text
}

/** The machine's figures narrowed by every limit above this process. */
export function withinLimits(machine: Memory, groups: readonly CgroupMemory[]): Memory {
  return groups.reduce(
    ({ totalBytes, availableBytes }, { limitBytes, usedBytes }) => ({
      totalBytes: Math.min(totalBytes, limitBytes),
      availableBytes: Math.min(availableBytes, Math.max(0, limitBytes - usedBytes)),
    }),
    machine,
  )
}

/**
 * Folders of this process's control groups, from its own up to the root. Inside a container the path in
 * /proc/self/cgroup is often the host's and not mounted; the root folder then is the container's own.
 */
export function cgroupFolders(selfCgroup: string | null): { version: 1 | 2; folder: string }[] {
  return (selfCgroup ?? '').split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined) return []
    const version = controllers === '' ? 2 : controllers?.split(',').includes('memory') ? 1 : null
    if (version === null) return []
    const parts = path.split('/').filter((part) => part !== '' && part !== '..')
    const mount = version === 2 ? 'sys/fs/cgroup' : 'sys/fs/cgroup/memory'
    const upwards = Array.from({ length: parts.length + 1 }, (_, up) =>
      parts.slice(0, parts.length - up).join('/'),
    )
    return upwards.map((folder) => ({ version, folder: join(mount, folder) }))
  })
}

/** @param root "/" but for tests */
export async function readMemory(root: string): Promise<Memory | null> {
  const machine = parseMeminfo(await readText(join(root, 'proc/meminfo')))
  if (!machine) return null
  const folders = cgroupFolders(await readText(join(root, 'proc/self/cgroup')))
  const groups = await Promise.all(
    folders.map(async ({ version, folder }) => {
      const file = (name: string) => readText(join(root, folder, name))
      const [limit, usage] =
        version === 2 ? ['memory.max', 'memory.current'] : ['memory.limit_in_bytes', 'memory.usage_in_bytes']
      return parseCgroup(await file(limit as string), await file(usage as string), await file('memory.stat'))
    }),
  )
  return withinLimits(
    machine,
    groups.filter((group) => group !== null),
  )
}
