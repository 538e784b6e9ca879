/** A gateway under test, however it is started. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'

export interface Gateway {
  name: string
  /** Which program it is, for the report. */
  version: string
  origin: string
  /** What its requests need beside the usual. */
  headers: Record<string, string>
  /** CPU its process has used so far, microseconds. */
  cpuUs(): Promise<number>
  stop(): Promise<void>
}

/** CPU of a process so far, in microseconds and steps of 10 ms: by /proc on Linux, by ps elsewhere. */
export function cpuOfProcess(pid: number): number {
  if (process.platform === 'linux') {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name stands in brackets and may hold anything; the user and system time are 12 and 13 fields after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10_000
  }
  const [minutes = '0', seconds = '0'] = execFileSync('ps', ['-o', 'time=', '-p', String(pid)], {
    encoding: 'utf8',
  })
    .trim()
    .split(':')
    .slice(-2)
  return Math.round((Number(minutes) * 60 + Number(seconds)) * 1_000_000)
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resolves when something answers HTTP there. @throws Error after 30 s */
export async function untilAnswers(origin: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    try {
      const { body } = await request(origin, { headersTimeout: 1_000 })
      await body.dump()
      return
    } catch {
      await sleep(100)
    }
  }
  throw new Error(`nothing answers at ${origin}`)
}
