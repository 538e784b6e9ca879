import type { z } from 'zod'
import { HolonError } from '../../core/errors.ts'

/** What the hub sent, in the shape that was agreed on. @throws HolonError invalid_parameter, naming the field */
export function checked<T>(schema: z.ZodType<T>, sent: unknown): T {
  const read = schema.safeParse(sent)
  if (read.success) return read.data
  const issue = read.error.issues[0]
  const param = issue?.path.join('.') || null
  throw new HolonError('invalid_parameter', `The order to the node is not understood: ${issue?.message}.`, {
    ...(param === null ? {} : { param }),
  })
}
