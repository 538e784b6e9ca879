/** POST /fleet/v1/paces: how quick the machines turned out to be, for plans of a model on them. */
import { z } from 'zod'

export const pacesRequest = z.object({
  /** As a plan calls it. Of a model that no machine answered, and of null, the machines' models together tell. */
  model: z.string().min(1).max(1_000).nullable(),
})

const times = z.number().positive().nullable()

export const pacesResponse = z.object({
  paces: z.array(
    z.object({
      /** Id of the node. */
      node: z.string(),
      /** Seconds its answers took over the seconds planned for them; null where nothing was measured. */
      decode: times,
      prefill: times,
      /** They were answers of this very model. */
      ofThisModel: z.boolean(),
      /** The models whose answers it rests on. */
      models: z.array(z.string()),
    }),
  ),
})
export type Paces = z.infer<typeof pacesResponse>['paces']
