/** Which files each member of a pool must have before its engine starts. Pure. */
import type { PoolEngineId } from '../../protocol/pool.ts'
import type { WeightFile, WeightList } from '../../protocol/pool-weights.ts'
import { layersOfStage } from './shards-of-rank.ts'

export interface NeedOrder {
  engine: PoolEngineId
  strategy: 'pipeline' | 'tensor'
  size: number
}

/** Files of each rank, in order of rank. */
export function neededFiles({ engine, strategy, size }: NeedOrder, list: WeightList): WeightFile[][] {
  const filesOf = (rank: number): WeightFile[] => {
    // exo and a cluster that is there already have what they have.
    if (engine === 'exo' || engine === 'attached') return []
    // The head reads the file and sends each worker its layers.
    if (engine === 'llama-rpc') return rank === 0 ? list.files : []
    return engine === 'mlx' && strategy === 'pipeline' ? ofStage(list, { rank, size }) : list.files
  }
  return Array.from({ length: size }, (_, rank) => filesOf(rank))
}

/** A stage reads the shards with its layers, and what is no layer. */
function ofStage({ files, modelLayers }: WeightList, stage: { rank: number; size: number }): WeightFile[] {
  if (modelLayers === null) return files
  const { from, to } = layersOfStage(modelLayers, stage)
  return files.filter(({ common, layers }) => common || layers.some((layer) => layer >= from && layer < to))
}
