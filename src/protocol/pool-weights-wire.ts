/**
 * What hub and node say about the files of models inside the tunnel: one stream for each thing asked, with one line that
 * asks, and lines that tell how far it is and how it ended. What a node serves, it serves for as long as the stream lives.
 */
import { z } from 'zod'
import { wireError } from './node-wire.ts'
import { weightFile, weightList } from './pool-weights.ts'

export const weightsPath = '/node/v1/pool/weights'
/** A list names up to 10,000 files with their layers. */
export const maxWeightsLineBytes = 8 * 1024 * 1024

const port = z.number().int().min(1).max(65_535)
const secret = z.string().min(40).max(64)
const host = z.string().max(255)
const model = z.string().min(1).max(4096)
const bytes = z.number().nonnegative().max(1e15)

export const weightsQuestion = z.union([
  z.object({ list: model }),
  z.object({ has: weightList }),
  z.object({ prepare: bytes }),
  z.object({ serve: z.object({ list: weightList, host, secret }) }),
  z.object({ fetch: z.object({ model, file: weightFile, from: z.object({ host, port, secret }) }) }),
])
export type WeightsQuestion = z.infer<typeof weightsQuestion>

export const weightsLine = z.union([
  z.object({ bytes }),
  z.object({ alive: z.literal(true) }),
  z.object({ error: wireError }),
  z.object({
    done: z.object({
      list: weightList.nullish(),
      has: z.array(z.string().max(500)).max(10_000).optional(),
      port: port.optional(),
    }),
  }),
])
export type WeightsLine = z.infer<typeof weightsLine>
