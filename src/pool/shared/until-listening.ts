/**
 * Waits until a program listens on a port, without connecting: to an engine that takes one connection from one peer, a
 * look by connecting would be that peer.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../../profile/run-command.ts'

const lookEveryMs = 20

/** @throws the signal's reason */
export async function untilListening(port: number, signal: AbortSignal): Promise<void> {
  while (!(await isListening(port))) await sleep(lookEveryMs, undefined, { signal })
}

async function isListening(port: number): Promise<boolean> {
  if (process.platform === 'linux') {
    const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readTable(path)))
    return tables.some((table) => listensIn(table, port))
  }
  return (await runCommand('/usr/sbin/lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'])) !== null
}

function readTable(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/** `0: 0100007F:A7F9 00000000:0000 0A …`: the port in hexadecimal, and 0A for listening. */
export function listensIn(table: string, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} [0-9A-F:]+ 0A `, 'm').test(table)
}
