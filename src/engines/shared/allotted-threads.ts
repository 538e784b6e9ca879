/**
 * llama.cpp counts the machine's cores and not those that it may run on. Held to fewer (a container's cpuset, `taskset`,
 * systemd's AllowedCPUs) it would start more threads than there are cores for, and they spin while they wait for each other.
 */
import { availableParallelism, cpus } from 'node:os'

/** How many threads to tell it; null when it may use the whole machine and chooses better itself. */
export function allottedThreads(may = availableParallelism(), there = cpus().length): number | null {
  return may < there ? Math.max(1, may) : null
}
