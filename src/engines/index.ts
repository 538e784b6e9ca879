import type { Home } from '../core/home.ts'
import type { Log } from '../core/log.ts'
import { embeddedDriver } from './embedded/index.ts'
import type { EngineDriver } from './engine.ts'
import { llamaServerDriver } from './llama-server/index.ts'

/** The engines Holon can run itself, best first. */
export function createDrivers(options: { home: Home; log: Log }): EngineDriver[] {
  return [llamaServerDriver(options.home), embeddedDriver(options.home)]
}
