import { readdirSync, readFileSync } from 'node:fs'

/**
 * Processor time that a process has taken until now, milliseconds. Of all threads there are, to the nanosecond: the clock
 * ticks of /proc/PID/stat are longer than a token's share. Linux; 0 for a process that has ended.
 */
export function spentMs(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
      const [ran = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
      return sum + Number(ran) / 1e6
    }, 0)
  } catch {
    return 0
  }
}

export const spentByAllMs = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + spentMs(pid), 0)
