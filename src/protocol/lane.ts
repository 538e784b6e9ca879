/** Service lanes, the first served first. A request names one with `x-holon-lane`; a key says which it may use. */
import { z } from 'zod'

export const lanes = ['production', 'research', 'experimental'] as const
export const laneName = z.enum(lanes)
export type Lane = z.infer<typeof laneName>

/** What a lane promises of an answer. Null where it promises nothing. */
export interface ServiceLevel {
  /** The first token comes within so many seconds, queue and load and reading the prompt included. */
  firstTokenS: number | null
  /** And then at least so many tokens per second. */
  decodeTokS: number | null
}

/** Written policy. Kept, or the answer says that it was not; see docs/concepts/fleet.md. */
export const serviceLevels: Readonly<Record<Lane, ServiceLevel>> = {
  production: { firstTokenS: 0.3, decodeTokS: 15 },
  research: { firstTokenS: null, decodeTokS: null },
  experimental: { firstTokenS: null, decodeTokS: null },
}
