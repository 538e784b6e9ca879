/** What this machine brings to an MLX pool: a Python with mlx-lm, the model's folder, and RDMA ports that are up. */
import { asHolonError } from '../../core/errors.ts'
import { runCommand } from '../../profile/run-command.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'
import {
  demandWholeShards,
  findModelFolder,
  readModelConfig,
  readModelCut,
  readWeightMap,
} from '../weights/model-folder.ts'
import { findMlx, type MlxFound, mlxPlaces, strategiesOf, tooOldToPool } from './find-mlx.ts'

export async function inspectMlx(host: MemberHost, model: string): Promise<MemberFacts> {
  const facts = await baseFacts(host)
  const mlx = await findMlx(mlxPlaces(host.home))
  if (mlx === null) {
    return {
      ...facts,
      whyNot: 'mlx-lm is not installed: `pip install mlx-lm`, where `mlx_lm.server` is on the PATH.',
    }
  }
  const told = { ...facts, build: mlx.build, devices: [mlx.device, ...(await rdmaDevices())] }
  if (tooOldToPool(mlx.mlxLm)) {
    return {
      ...told,
      whyNot: `mlx-lm ${mlx.mlxLm} cannot serve over several machines: install 0.31 or newer.`,
    }
  }
  return { ...told, ...(await modelFacts(host, model, mlx)) }
}

async function modelFacts(host: MemberHost, model: string, mlx: MlxFound): Promise<Partial<MemberFacts>> {
  const folder = await findModelFolder(model, host)
  if (folder === null) return {}
  try {
    const { type } = await readModelConfig(folder.path)
    const strategies = await strategiesOf(mlx, type)
    if (strategies === null) {
      return {
        whyNot: `mlx-lm ${mlx.mlxLm} does not know the architecture "${type}" of ${model}: install a newer one.`,
      }
    }
    // Stages find their shards by the index; a model in one file has none.
    const indexed = (await readWeightMap(folder.path)) !== null
    const cut = await readModelCut(
      folder.path,
      strategies.filter((strategy) => strategy !== 'pipeline' || indexed),
    )
    const whole = await demandWholeShards(folder.path, null).then(
      () => true,
      () => false,
    )
    // Half of a model is none yet: the rest has to come here first.
    if (!whole) return { cut }
    return { cut, modelPath: folder.path, modelBytes: folder.sizeBytes }
  } catch (thrown) {
    return { whyNot: asHolonError(thrown).message }
  }
}

/** A Mac's RDMA ports that are up at both ends, by name; the first in the list is not always the one with the cable. */
async function rdmaDevices(): Promise<string[]> {
  if (process.platform !== 'darwin') return []
  return activePorts(await runCommand('/usr/bin/ibv_devinfo', [], { timeoutMs: 3_000 }))
}

/** From `hca_id: rdma_en5` and `state: PORT_ACTIVE (4)` below it. */
export function activePorts(text: string | null): string[] {
  const blocks = (text ?? '').split(/^(?=hca_id:)/m)
  return blocks.flatMap((block) => {
    const name = /^hca_id:\s*(\S+)/.exec(block)?.[1]
    return name !== undefined && /state:\s*PORT_ACTIVE/.test(block) ? [name] : []
  })
}
