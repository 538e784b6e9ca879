/**
 * What hub and node say to each other inside the tunnel. The hub reads a node's word as a stranger's: every list, text
 * and number has a bound, so that a node that lies about itself costs the hub no memory and no other node anything.
 */
import { z } from 'zod'
import { catalogue, type ErrorCode, HolonError } from '../core/errors.ts'
import { machineProfile } from './machine.ts'
import { nodeModel, runningModel } from './model.ts'

/** Paths of a node's own API. Everything below `/v1/` goes on to an engine. */
export const nodePaths = {
  /** GET: a line of JSON per change, the whole picture each time. */
  changes: '/node/v1/changes',
  /** POST: holds an engine for as long as both directions are open. */
  hold: '/node/v1/hold',
  load: '/node/v1/load',
  unload: '/node/v1/unload',
  /** POST: a new credential, to be kept before it is answered. */
  credential: '/node/v1/credential',
} as const

/** Names the held engine that a relayed request is for. */
export const holdHeader = 'x-holon-hold'

/** A node's picture as one line. 2,000 models of 500 bytes. */
export const maxReportBytes = 1024 * 1024
/** Any other line. */
export const maxLineBytes = 16 * 1024

/** No control characters: these texts reach headers, terminals and pages. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
const plain = /^[^\x00-\x1f\x7f]*$/
const word = (max: number) => z.string().min(1).max(max).regex(plain, 'holds a control character')
/** Beyond any machine there is: 1 PiB. */
const bytes = z
  .number()
  .nonnegative()
  .max(2 ** 50)

const reportedModel = nodeModel.extend({
  id: word(200),
  path: z.string().max(4096),
  source: z.string().max(4096),
  sizeBytes: bytes,
  paramsTotal: z.number().nonnegative().max(1e15).nullable(),
  contextMax: z.number().int().positive().max(1e9).nullable(),
  problem: z.string().max(2000).nullable(),
  failure: z.string().max(2000).nullable(),
})

/** What a node says about itself. Its id, name and state are the hub's to say. */
export const nodeReport = z.object({
  profile: machineProfile.nullable(),
  engines: z.array(word(100)).max(64),
  models: z.array(reportedModel).max(2000),
  running: z.array(runningModel.extend({ id: word(200), engine: z.string().max(100) })).max(256),
  memory: z.object({ budgetBytes: bytes, usedBytes: bytes }),
  /** What the machine is for, and where it stands, in its owner's words. */
  role: word(100).nullish(),
  place: word(100).nullish(),
})
export type NodeReport = z.infer<typeof nodeReport>

const answerStats = z.object({
  promptTokens: z.number(),
  cachedTokens: z.number(),
  completionTokens: z.number(),
  prefillTokS: z.number().nullable(),
  decodeTokS: z.number().nullable(),
})

/** The first line of a hold, from the hub. */
export const holdRequest = z.object({ model: word(200) })
/** The last line of a hold, from the hub. */
export const holdRelease = z.object({ release: answerStats.nullable() })

export const wireError = z.object({
  code: z.string().max(64),
  message: z.string().max(2000),
  hint: z.string().max(2000).nullish(),
  retryAfterS: z.number().positive().max(3600).nullish(),
})

/** How far a load is, as a line. */
export const progressLine = z.object({
  progress: z.object({
    phase: z.string().max(200),
    percent: z.number().min(0).max(100).nullable(),
    etaS: z.number().nonnegative().nullable(),
  }),
})

/** An engine that is held on the node, and how requests name it. */
export const heldEngine = z.object({
  hold: word(64),
  model: word(200),
  engine: word(100),
  parameters: z.array(word(64)).max(256),
  parallel: z.number().int().min(1).max(1024),
})
export type HeldEngine = z.infer<typeof heldEngine>

/** Lines of a hold, from the node: progress while it loads, then the engine, then perhaps its death. */
export const holdLine = z.union([
  progressLine,
  z.object({ engine: heldEngine }),
  z.object({ died: z.string().max(2000) }),
  z.object({ error: wireError }),
])

export const nodeLoadRequest = z.object({
  model: word(200),
  contextTokens: z.number().int().positive().optional(),
  parallel: z.number().int().positive().optional(),
  engine: z.string().max(100).optional(),
  keep: z.boolean().optional(),
  ifRoom: z.boolean().optional(),
})
export const nodeUnloadRequest = z.object({ model: word(200) })
export const nodeCredential = z.object({ credential: z.string().min(20).max(200) })

/** An error as it crosses the tunnel. */
export function toWireError(error: HolonError): z.infer<typeof wireError> {
  const { code, message, hint, retryAfterS } = error
  return {
    code,
    message: message.slice(0, 2000),
    hint: hint?.slice(0, 2000) ?? null,
    retryAfterS: retryAfterS === undefined ? null : Math.min(3600, Math.max(1, retryAfterS)),
  }
}

/** @param told what came through the tunnel; anything else than a known error becomes `tunnel_misbehaved` */
export function fromWireError(told: unknown): HolonError {
  const parsed = wireError.safeParse(told)
  if (!parsed.success || !Object.hasOwn(catalogue, parsed.data.code)) {
    return new HolonError('tunnel_misbehaved', 'The node answered with an error that nobody knows.')
  }
  const { code, message, hint, retryAfterS } = parsed.data
  return new HolonError(code as ErrorCode, message, {
    hint: hint ?? undefined,
    retryAfterS: retryAfterS ?? undefined,
  })
}
