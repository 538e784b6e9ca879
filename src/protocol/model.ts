import { z } from 'zod'

/** Where a model on a node stands. `absent` models are not listed. */
export const modelStates = ['disk', 'loading', 'ready', 'failed'] as const

export const loadProgress = z.object({
  /** What is going on now, in words for people: "installing the engine", "reading weights", "warming up". */
  phase: z.string(),
  percent: z.number().min(0).max(100).nullable(),
  etaS: z.number().nonnegative().nullable(),
})
export type LoadProgress = z.infer<typeof loadProgress>

/** What a model's header says of its name: GGUF's `general.*`, or the same told by an engine. */
export const modelNaming = z.object({
  name: z.string().nullish(),
  basename: z.string().nullish(),
  sizeLabel: z.string().nullish(),
  finetune: z.string().nullish(),
  version: z.string().nullish(),
  /** Repositories or names of the models it was made from. */
  baseModels: z.array(z.string()).optional(),
})
export type ModelNaming = z.infer<typeof modelNaming>

/** A model file (or set of split files) on one machine, described from its own header. */
export const modelInfo = z.object({
  /** The name callers use, unique on the node, stable across restarts. */
  id: z.string(),
  /** Absolute path of the file, or of the first file of a split set; empty for a model of an attached engine. */
  path: z.string(),
  /** Where it came from: a Hugging Face repo and file, a URL, or a path. */
  source: z.string(),
  format: z.enum(['gguf', 'safetensors', 'unknown']),
  /** The engine that alone can run it: one that was already there and has models of its own. */
  engine: z.string().optional(),
  architecture: z.string().nullable(),
  name: z.string().nullable(),
  naming: modelNaming.nullish(),
  /** Equal for equal weights on any machine: `gguf-` and a fingerprint of tensors and samples of them. */
  weightsId: z.string().nullish(),
  quant: z.string().nullable(),
  paramsTotal: z.number().nonnegative().nullable(),
  sizeBytes: z.number().int().nonnegative(),
  /** The longest context the model was trained for, in tokens. */
  contextMax: z.number().int().positive().nullable(),
  /** True when the file is an embedding model (no text generation). */
  embedding: z.boolean(),
  /** True for the demonstration model that ships with Holon. */
  demo: z.boolean(),
  /** Set when the file cannot be used, with the reason. */
  problem: z.string().nullable(),
})
export type ModelInfo = z.infer<typeof modelInfo>

/** A model on a node together with what it is doing. */
export const nodeModel = modelInfo.extend({
  state: z.enum(modelStates),
  progress: loadProgress.nullable(),
  /** Why the last load failed, when `state` is `failed`. */
  failure: z.string().nullable(),
  /** Its owner keeps it in memory: it comes back there by itself when there is room again. */
  kept: z.boolean().optional(),
  /** Seconds from the start of a load until it could answer, measured on this machine; nothing before the first. */
  measuredLoadS: z.number().nonnegative().nullish(),
  /** Prefill and decode speed of the answers it gave here, tokens per second; median of the last ones. */
  measuredPrefillTokS: z.number().nonnegative().nullish(),
  measuredDecodeTokS: z.number().nonnegative().nullish(),
})
export type NodeModel = z.infer<typeof nodeModel>

/** A model in memory, for `holon ps`. */
export const runningModel = z.object({
  id: z.string(),
  engine: z.string(),
  pid: z.number().int().nullable(),
  state: z.enum(['loading', 'ready']),
  progress: loadProgress.nullable(),
  contextTokens: z.number().int().nullable(),
  parallel: z.number().int().nullable(),
  threads: z.number().int().nullable(),
  /** Resident memory of the engine process, bytes. */
  memoryBytes: z.number().nullable(),
  /** Its owner keeps it: it leaves memory last, and comes back by itself. */
  kept: z.boolean().optional(),
  /** Answers under way now. */
  active: z.number().int(),
  /** Decode speed of the last finished answer, tokens per second. */
  decodeTokS: z.number().nullable(),
  /** Prefill speed of the last finished answer, tokens per second. */
  prefillTokS: z.number().nullable(),
  loadedAt: z.number().nullable(),
  /** Seconds since the last answer ended; 0 while answering. */
  idleS: z.number(),
})
export type RunningModel = z.infer<typeof runningModel>
