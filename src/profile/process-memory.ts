/** Resident memory of processes, for `holon ps`: the kernel's own figure, one way per system. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { readOfProcess } from './process-files.ts'

const run = promisify(execFile)
const timeoutMs = 5_000

/** Bytes by process id; a process that is gone, or whose figure cannot be had, is missing. Never throws. */
export async function residentMemory(
  pids: readonly number[],
  platform: NodeJS.Platform = process.platform,
): Promise<Map<number, number>> {
  if (pids.length === 0) return new Map()
  try {
    if (platform === 'linux') return fromProc(pids)
    if (platform === 'win32') return parseTasklist(await output('tasklist', ['/FO', 'CSV', '/NH']), pids)
    return parsePs(await output('ps', ['-o', 'pid=,rss=', '-p', pids.join(',')]))
  } catch {
    return new Map()
  }
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { timeout: timeoutMs, maxBuffer: 8_000_000, windowsHide: true })
  return stdout
}

function fromProc(pids: readonly number[]): Map<number, number> {
  const figures = new Map<number, number>()
  for (const pid of pids) {
    const status = readOfProcess(pid, 'status')
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kibibytes !== undefined) figures.set(pid, Number(kibibytes) * 1024)
  }
  return figures
}

/** `  4321  56784` per line, the second in KiB. */
export function parsePs(text: string): Map<number, number> {
  const figures = new Map<number, number>()
  for (const [, pid, kibibytes] of text.matchAll(/^\s*(\d+)\s+(\d+)\s*$/gm)) {
    figures.set(Number(pid), Number(kibibytes) * 1024)
  }
  return figures
}

/** `"node.exe","4321","Console","1","56,784 K"` per line; the thousands separator depends on the language. */
export function parseTasklist(text: string, pids: readonly number[]): Map<number, number> {
  const figures = new Map<number, number>()
  for (const [, pid, size] of text.matchAll(/^"[^"]*","(\d+)","[^"]*","\d+","([^"]+)"/gm)) {
    const kibibytes = Number(size?.replace(/\D/g, ''))
    if (pids.includes(Number(pid)) && kibibytes > 0) figures.set(Number(pid), kibibytes * 1024)
  }
  return figures
}
