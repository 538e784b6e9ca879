import type { PoolEngine } from '../pool-engine.ts'
import { inspectExo } from './inspect.ts'
import { layoutExo } from './layout.ts'
import { openExo } from './open.ts'

/** exo: one address for several Macs, driven by its HTTP interface. */
export const exoPool: PoolEngine = {
  id: 'exo',
  title: 'exo',
  concurrent: true,
  layout: layoutExo,
  inspect: inspectExo,
  open: openExo,
}
