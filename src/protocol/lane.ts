/** Service lanes, the first served first. A request names one with `x-holon-lane`; a key says which it may use. */
import { z } from 'zod'

export const lanes = ['production', 'research', 'experimental'] as const
export const laneName = z.enum(lanes)
export type Lane = z.infer<typeof laneName>
