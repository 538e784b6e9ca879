/** What this machine brings to vLLM over several machines. */
import { asHolonError } from '../../core/errors.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'
import { demandWholeShards, findModelFolder, readModelCut } from '../weights/model-folder.ts'
import { cudaDevices, findVllm, needsRay, vllmPlaces } from './find-vllm.ts'

export async function inspectVllm(host: MemberHost, model: string): Promise<MemberFacts> {
  const facts = await baseFacts(host)
  const vllm = await findVllm(vllmPlaces(host.home))
  if (vllm === null)
    return { ...facts, whyNot: 'vLLM is not installed: `pip install vllm`, with `vllm` on the PATH.' }
  const { version, ray } = vllm
  // Ray refuses a node of another version too.
  const build = ray === null ? `vllm ${version}` : `vllm ${version} with ray ${ray.version}`
  const told = { ...facts, build, devices: await cudaDevices() }
  if (needsRay(version) && ray === null) {
    return {
      ...told,
      whyNot: `vLLM ${version} needs Ray to reach other machines: \`pip install ray\`, or vLLM 0.18.`,
    }
  }
  const folder = await findModelFolder(model, host)
  if (folder === null) return told
  try {
    await demandWholeShards(folder.path, null)
    const cut = await readModelCut(folder.path, ['pipeline', 'tensor'])
    return { ...told, cut, modelPath: folder.path, modelBytes: folder.sizeBytes }
  } catch (thrown) {
    return { ...told, whyNot: asHolonError(thrown).message }
  }
}
