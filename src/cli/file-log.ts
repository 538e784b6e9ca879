import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { destination, pino } from 'pino'
import type { Home } from '../core/home.ts'
import type { Log } from '../core/log.ts'

/**
 * Holon's own log, in HOLON_HOME/logs/holon.log as JSON lines: the terminal stays for people.
 * HOLON_LOG sets the level (debug, info, warn, error). Prompts and answers never go in here.
 */
export function createFileLog(home: Home, level = process.env.HOLON_LOG ?? 'info'): Log {
  mkdirSync(home.logs, { recursive: true })
  const known = ['debug', 'info', 'warn', 'error', 'silent'].includes(level) ? level : 'info'
  return pino(
    { level: known, base: null },
    destination({ dest: join(home.logs, 'holon.log'), mkdir: true, sync: true }),
  )
}
