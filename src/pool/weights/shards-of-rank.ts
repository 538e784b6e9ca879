/**
 * Which files of a model one stage of an MLX pipeline reads. Rank 0 has the last layers. What holds no layer (embedding,
 * norm, head) belongs to every stage, as mlx-lm decides it.
 */
import { HolonError } from '../../core/errors.ts'
import { readModelConfig, readWeightMap } from './model-folder.ts'

export interface Stage {
  rank: number
  size: number
}

/**
 * First layer, and the one after the last. Versions of mlx-lm differ where the layers cannot be divided evenly (older
 * ones count from the front with the rank's own size), so a stage gets what either would read: a missing tensor would not
 * be an error there but noise.
 */
export function layersOfStage(layers: number, { rank, size }: Stage): { from: number; to: number } {
  const base = Math.floor(layers / size)
  const extra = layers % size
  const own = (each: number): number => base + (each < extra ? 1 : 0)
  let from = 0
  for (let each = rank + 1; each < size; each++) from += own(each)
  const older = (size - rank - 1) * own(rank)
  return { from: Math.min(from, older), to: Math.min(layers, Math.max(from, older) + own(rank)) }
}

/** Files of the weight map that the stage reads, in order of name. Pure. */
export function shardsOfStage(map: Readonly<Record<string, string>>, layers: number, stage: Stage): string[] {
  const { from, to } = layersOfStage(layers, stage)
  const files = new Set<string>()
  for (const [tensor, file] of Object.entries(map)) {
    const layer = /(?:^|\.)layers\.(\d+)\./.exec(tensor)?.[1]
    if (layer === undefined || (Number(layer) >= from && Number(layer) < to)) files.add(file)
  }
  return [...files].sort()
}

/** @throws HolonError model_file_invalid for a model without an index, which a pipeline of MLX needs */
export async function shardsOfRank(folder: string, stage: Stage): Promise<string[]> {
  const map = await readWeightMap(folder)
  if (map === null) {
    throw new HolonError(
      'model_file_invalid',
      `${folder} has no model.safetensors.index.json, which MLX needs for a pipeline.`,
      {
        hint: 'Use the tensor split, or convert the model with mlx_lm.convert.',
      },
    )
  }
  const { layers } = await readModelConfig(folder)
  return shardsOfStage(map, layers, stage)
}
