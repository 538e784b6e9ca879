import { z } from 'zod'
import { laneName } from './lane.ts'
import { modelStates } from './model.ts'

/** Bodies of /fleet/v1/catalogue: what the hub offers, and how what its nodes advertise hangs together. */
export const catalogueModes = ['open', 'curated'] as const

export const catalogueVariant = z.object({
  /** As its nodes advertise it; addressable like the canonical name. */
  id: z.string(),
  quant: z.string().nullable(),
  /** Nominal bits of a weight: 4 for every kind of Q4. */
  bits: z.number().nullable(),
  sizeBytes: z.number(),
  contextMax: z.number().nullable(),
  embedding: z.boolean(),
  demo: z.boolean(),
  /** The engine that alone has it: one that was already there. */
  engine: z.string().optional(),
  /** For `NAME@exact:<weightsId>`. */
  weightsId: z.string().nullable(),
  state: z.enum(modelStates),
  /** Names of the nodes that have it. */
  nodes: z.array(z.string()),
  offered: z.boolean(),
  /** The lanes it serves. */
  lanes: z.array(laneName),
  /** Whether the file's header or its name told what it is. */
  from: z.enum(['header', 'name']),
})
export type CatalogueVariant = z.infer<typeof catalogueVariant>

export const catalogueModel = z.object({
  /** The canonical name. */
  name: z.string(),
  family: z.string().nullable(),
  size: z.string().nullable(),
  /** True when at least one variant is. */
  offered: z.boolean(),
  /** The highest quality first. */
  variants: z.array(catalogueVariant),
})
export type CatalogueModel = z.infer<typeof catalogueModel>

export const catalogueResponse = z.object({
  mode: z.enum(catalogueModes),
  models: z.array(catalogueModel),
  /** The list of a curated catalogue, also what no node advertises now. */
  offers: z.array(z.object({ kind: z.enum(['model', 'id']), name: z.string(), advertised: z.boolean() })),
  /** Where the owner has models run; nodes by name, or by id while they are away. */
  pins: z.array(
    z.object({
      /** A canonical name, or one advertised id. */
      model: z.string(),
      to: z.array(z.string()),
      away: z.array(z.string()),
      /** Serve only when no other does, or those are busy beyond the lane's level. */
      background: z.array(z.string()),
    }),
  ),
  /** What serves only some lanes. */
  lanes: z.array(z.object({ kind: z.enum(['model', 'node']), name: z.string(), lanes: z.array(laneName) })),
})
export type CatalogueResponse = z.infer<typeof catalogueResponse>

export const catalogueModeRequest = z.object({ mode: z.enum(catalogueModes) })
export const offerRequest = z.object({ model: z.string().min(1).max(300) })

const nodeNames = z.array(z.string().min(1).max(200)).max(1_000).optional()
export const pinRequest = z.object({
  model: z.string().min(1).max(300),
  to: nodeNames,
  away: nodeNames,
  background: nodeNames,
})
export const unpinRequest = z.object({
  model: z.string().min(1).max(300),
  /** Without it, all pins of the model. */
  node: z.string().min(1).max(200).optional(),
})
/** All lanes: as if nothing had been said. */
export const lanesRequest = z.union([
  z.object({ model: z.string().min(1).max(300), lanes: z.array(laneName).min(1) }),
  z.object({ node: z.string().min(1).max(200), lanes: z.array(laneName).min(1) }),
])
