import { type Check, checkCalled } from './check.ts'

export interface LockFacts {
  /** The Holon that runs on this HOLON_HOME. */
  running: { pid: number; url: string | null } | null
  /** Left behind by one that is gone. */
  stale: { pid: number } | null
}

export function checkLock({ running, stale }: LockFacts): Check {
  const { ok, warn } = checkCalled('lock', 'Running')
  if (running) return ok(`Holon is up${running.url ? ` at ${running.url}` : ''} (process ${running.pid})`)
  if (!stale) return ok('Holon is not running; `holon up` starts it')
  return warn(
    `process ${stale.pid} ended without tidying up: it was killed, or the machine lost power`,
    'Nothing to do: the next `holon up` takes over. If it happens often, look into the logs folder of HOLON_HOME.',
  )
}
