/**
 * What hub and node say about pools inside the tunnel. A part is one stream: it opens with the spec, hears where its
 * peers are, and lasts until the hub ends it, the part dies, or the stream breaks; then the part is over.
 */
import { z } from 'zod'
import { heldEngine, progressLine, wireError } from './node-wire.ts'
import { partSpec, peerAddress, poolEngineIds } from './pool.ts'

/** Paths of a node's API for pools. */
export const poolPaths = {
  /** POST: what the machine brings. */
  inspect: '/node/v1/pool/inspect',
  /** POST: opens a part for as long as both directions are open. */
  part: '/node/v1/pool/part',
  /** POST: awaits one probe. */
  awaitProbe: '/node/v1/pool/await-probe',
  /** POST: measures the way to a machine that awaits it. */
  probe: '/node/v1/pool/probe',
} as const

/** A spec names up to 255 peers with a secret each; facts hold a model's header and 64 interfaces. */
export const maxPoolLineBytes = 256 * 1024

export const inspectRequest = z.object({ engine: z.enum(poolEngineIds), model: z.string().min(1).max(200) })
export const awaitProbeRequest = z.object({ host: z.string().max(255), secret: z.string().min(40).max(64) })
export const awaitProbeAnswer = z.object({ port: z.number().int().min(1).max(65_535) })
export const probeRequest = awaitProbeRequest.extend({ port: z.number().int().min(1).max(65_535) })

/** Lines of a part, from the hub. The end of the stream ends the part. */
export const partOpening = z.object({ spec: partSpec })
export const partPeers = z.object({ peers: z.array(peerAddress).max(256) })

/** Lines of a part, from the node: where it listens, how far it is, that it works, and why it ended. */
export const partLine = z.union([
  z.object({
    listening: z.object({ host: z.string().max(255), port: z.number().int().min(1).max(65_535) }).nullable(),
  }),
  progressLine,
  z.object({
    ready: z.object({
      memoryBytes: z.number().nonnegative().nullable(),
      /** Rank 0: how requests name its engine. */
      head: heldEngine.nullable(),
    }),
  }),
  z.object({ memoryBytes: z.number().nonnegative().nullable() }),
  z.object({ died: z.string().max(2000) }),
  z.object({ error: wireError }),
])
export type PartLine = z.infer<typeof partLine>
