/** Body of GET /fleet/v1/requests/{id}: why a request went where it went, and what came of it. */
import { z } from 'zod'
import { laneName } from './lane.ts'
import { modelStates } from './model.ts'

const basis = z.enum(['modelled', 'calibrated', 'measured'])
const amount = z.number().nullable()

export const explainedCandidate = z.object({
  node: z.string(),
  model: z.string(),
  chosen: z.boolean(),
  /** As it was when the choice was made. */
  state: z.enum(modelStates),
  background: z.boolean(),
  trusted: z.boolean(),
  /** Requests of this hub there, in flight and waiting, and how many are answered at once. */
  before: z.number(),
  parallel: z.number(),
  /** The predicted finish and the terms it is the sum of. Seconds. */
  predicted: z.object({
    finishS: z.number(),
    waitS: z.number(),
    loadS: z.number(),
    /** What the load drives out of memory costs later. */
    evictS: z.number(),
    prefillS: z.number(),
    decodeS: z.number(),
    firstTokenS: z.number(),
    decodeTokS: z.number(),
    promptTokens: z.number(),
    cachedTokens: z.number(),
    answerTokens: z.number(),
  }),
  /** How the figures were got. */
  basis: z.object({ prefill: basis, decode: basis, load: basis }),
  /** Why it was chosen, or why not. */
  why: z.string(),
})
export type ExplainedCandidate = z.infer<typeof explainedCandidate>

export const explainedChoice = z.object({
  /** What chose the model, when the caller left it to the hub, and by which rule. */
  tier: z.object({ became: z.enum(['auto:fast', 'auto:best']), why: z.string() }).nullable(),
  /** Placements that could have answered; the nearest are listed. */
  considered: z.number().int(),
  keepsLevel: z.boolean(),
  /** The request was given to another node after this one. */
  movedOn: z.boolean(),
  candidates: z.array(explainedCandidate),
})
export type ExplainedChoice = z.infer<typeof explainedChoice>

export const explainResponse = z.object({
  id: z.string(),
  /** Milliseconds since the epoch. */
  time: z.number(),
  asked: z.string(),
  lane: laneName,
  level: z.object({ firstTokenS: amount, decodeTokS: amount }),
  /** In order; more than one when a node failed. */
  choices: z.array(explainedChoice),
  /** What happened; null while it is under way, and when it was refused before it reached a model. */
  outcome: z
    .object({
      status: z.number().int(),
      error: z.string().nullable(),
      node: z.string(),
      model: z.string(),
      queueS: z.number(),
      firstTokenS: amount,
      durationS: z.number(),
      prefillTokS: amount,
      decodeTokS: amount,
      promptTokens: z.number().int(),
      cachedTokens: z.number().int(),
      completionTokens: z.number().int(),
      retries: z.number().int(),
    })
    .nullable(),
  /** The last choice's prediction beside what was measured. */
  compared: z.array(
    z.object({ what: z.string(), unit: z.string(), predicted: z.number(), measured: z.number() }),
  ),
})
export type ExplainResponse = z.infer<typeof explainResponse>
