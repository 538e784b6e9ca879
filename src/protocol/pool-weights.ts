/**
 * How a model's files come to the members that need them: whoever has a file serves it to the next, on the members' own
 * link, and every byte is checked against what the first holder promised.
 */
import { z } from 'zod'

/** Relative to the model's folder, with forward slashes, and never out of it. */
const fileName = z
  .string()
  .min(1)
  .max(500)
  .refine((name) => !/^\/|\\|(^|\/)\.\.?(\/|$)|\0|^[A-Za-z]:/.test(name), 'it leads out of the folder')

export const weightFile = z.object({
  name: fileName,
  bytes: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Layers of which it holds tensors. */
  layers: z.array(z.number().int().nonnegative()).max(10_000),
  /** It holds what is no layer: config, tokenizer, index, embedding, norm, head. */
  common: z.boolean(),
})
export type WeightFile = z.infer<typeof weightFile>

export const weightList = z.object({
  model: z.string().min(1).max(4096),
  /** Absolute path there, for members that see the same folder. */
  path: z.string().max(4096),
  /** Of the whole model; null when the files do not say. */
  modelLayers: z.number().int().positive().nullable(),
  files: z.array(weightFile).max(10_000),
})
/** The files of a model on one machine. */
export type WeightList = z.infer<typeof weightList>

/** Where one member serves a model to another. */
export interface WeightSource {
  host: string
  port: number
  /** Base64url of 32 random bytes, known to the two and the hub. */
  secret: string
}

/** What a machine does to give and take the files of models. */
export interface WeightMember {
  /** What it has whole, with checksums, which may take a while the first time; null when it has nothing. */
  list(model: string, signal: AbortSignal): Promise<WeightList | null>
  /** Of these files, the names that it has with the same bytes, under its own folder or at the same path as the holder. */
  has(list: WeightList, signal: AbortSignal): Promise<string[]>
  /** @throws HolonError disk_full before a byte is written, when this much more does not fit */
  prepare(bytes: number): Promise<void>
  /** Serves those of these files that it has, now or later, on this address until the signal is aborted. */
  serve(
    at: { list: WeightList; host: string; secret: string },
    signal: AbortSignal,
  ): Promise<{ port: number }>
  /**
   * Gets one file, going on where an earlier try stopped, and verifies it.
   * @throws HolonError download_failed, checksum_mismatch, disk_full; the signal's reason
   */
  fetch(
    order: { model: string; file: WeightFile; from: WeightSource },
    options: { signal: AbortSignal; onProgress(bytes: number): void },
  ): Promise<void>
}
