/** Where exo answers on this machine: the attached one, or its usual address. */

import type { AttachedEngine } from '../../engines/attached-engine.ts'
import { attachExo } from '../../engines/exo/index.ts'
import type { MemberHost } from '../pool-engine.ts'

const usualUrl = 'http://127.0.0.1:52415'

export function exoOf(host: MemberHost): AttachedEngine {
  const attached = host.attached?.().find(({ id }) => id === 'exo')
  return attached ?? attachExo({ url: usualUrl, headers: {}, models: [], parallel: null })
}
