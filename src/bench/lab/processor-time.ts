import { readdirSync, readFileSync } from 'node:fs'

/**
 * Processor time that processes have taken until now, milliseconds. Of all threads there are, to the nanosecond: the clock
 * ticks of /proc/PID/stat are longer than a token's share. Linux; a process that has ended counts nothing.
 */
export const spentByAllMs = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + spentMs(pid), 0)

function spentMs(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
      const [ran = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
      return sum + Number(ran) / 1e6
    }, 0)
  } catch {
    // It ended while we looked.
    return 0
  }
}
