import { request } from 'node:http'
import type { EngineProcess } from '../engine.ts'
import type { Spawned } from './spawn.ts'

/** A running child together with its address, as the agent sees it. */
export function engineProcess(options: {
  child: Spawned
  /** The engine's own process, where it is not the child itself. */
  pid?: number
  origin: string
  headers: Record<string, string>
  contextTokens: number
  parallel: number
  threads: number | null
}): EngineProcess {
  const { child, origin, headers, contextTokens, parallel, threads } = options
  return {
    pid: options.pid ?? child.pid,
    origin,
    headers,
    contextTokens,
    parallel,
    threads,
    exited: child.exited,
    healthy: (signal) => answersHealth(origin, signal),
    stop: (graceMs) => child.stop(graceMs),
  }
}

const healthTimeoutMs = 5000

/** GET /health says 200 within five seconds, or sooner when `signal` fires. Never throws. */
export function answersHealth(origin: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const either = AbortSignal.any([signal, AbortSignal.timeout(healthTimeoutMs)])
    const check = request(`${origin}/health`, { signal: either, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    check.on('error', () => resolve(false))
    check.end()
  })
}
