/**
 * Makes a living process hang, as a deadlock or a dead GPU does: the system's freezer (cgroup v2) stops it from running,
 * and to whoever looks it only sleeps. A signal to stop (SIGSTOP) would show in its state. Linux, root.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
  existsSync(join(path, 'cgroup.controllers')),
)
let count = 0

/** Why no process can be frozen here; null when one can. */
export function whyNoFreezer(): string | null {
  if (root === undefined) return 'this system has no control groups of version 2'
  if (process.getuid?.() !== 0) return 'freezing a process needs root'
  try {
    remove(make())
    return null
  } catch (error) {
    return `control groups cannot be made: ${String(error).split('\n')[0]}`
  }
}

/** Call what it returns at the end: what still lives goes on. */
export function freeze(pid: number): () => void {
  const group = make()
  writeFileSync(join(group, 'cgroup.procs'), String(pid))
  writeFileSync(join(group, 'cgroup.freeze'), '1')
  return () => {
    writeFileSync(join(group, 'cgroup.freeze'), '0')
    remove(group)
  }
}

function make(): string {
  const group = join(root ?? '', `holon-test-${process.pid}-${++count}`)
  mkdirSync(group)
  return group
}

/** A group can only go when nobody is in it. */
function remove(group: string): void {
  for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n'))
    if (pid !== '') writeFileSync(join(root ?? '', 'cgroup.procs'), pid)
  rmdirSync(group)
}
