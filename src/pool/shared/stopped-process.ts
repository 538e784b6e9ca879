/**
 * Whether a process was stopped in the middle of its work. Engines that talk to each other wait for a stopped one for
 * ever, and none of them says so.
 */
import { readOfProcess } from '../../profile/process-files.ts'
import { runCommand } from '../../profile/run-command.ts'

/** False where the system does not tell, and for a process that has ended. Never throws. */
export async function isStopped(pid: number, platform: NodeJS.Platform = process.platform): Promise<boolean> {
  if (platform === 'linux') {
    const stat = readOfProcess(pid, 'stat')
    // The name, in parentheses, may hold anything.
    return /^[Tt]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  }
  if (platform === 'win32') return false
  return /^\s*T/.test((await runCommand('ps', ['-o', 'stat=', '-p', String(pid)])) ?? '')
}
