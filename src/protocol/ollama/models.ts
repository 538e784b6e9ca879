/** Models as Ollama lists and describes them, from what Holon read in their files. */
import type { NodeModel, RunningModel } from '../model.ts'

function details(model: NodeModel): object {
  return {
    parent_model: '',
    format: model.format,
    family: model.architecture ?? '',
    families: model.architecture === null ? [] : [model.architecture],
    parameter_size: model.paramsTotal === null ? '' : inWords(model.paramsTotal),
    quantization_level: model.quant ?? '',
  }
}

function inWords(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}B`
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)}M` : `${(count / 1e3).toFixed(0)}K`
}

/** @param digest 64 hex digits that change with the model; @param modifiedAt ISO 8601 */
export function tagRow(model: NodeModel, digest: string, modifiedAt: string): object {
  return {
    name: model.id,
    model: model.id,
    modified_at: modifiedAt,
    size: model.sizeBytes,
    digest,
    details: details(model),
  }
}

/** @param onGpu whether the machine computes on a GPU; Holon knows no share per model */
export function psRow(
  model: NodeModel,
  running: RunningModel,
  digest: string,
  expiresAt: string,
  onGpu: boolean,
): object {
  const size = running.memoryBytes ?? model.sizeBytes
  return {
    name: model.id,
    model: model.id,
    size,
    digest,
    details: details(model),
    expires_at: expiresAt,
    size_vram: onGpu ? size : 0,
    context_length: running.contextTokens ?? model.contextMax ?? 0,
  }
}

export type Shown = ReturnType<typeof describeShown>

export function describeShown(model: NodeModel, modifiedAt: string) {
  const architecture = model.architecture ?? 'unknown'
  const info: Record<string, unknown> = { 'general.architecture': architecture }
  if (model.paramsTotal !== null) info['general.parameter_count'] = model.paramsTotal
  if (model.contextMax !== null) info[`${architecture}.context_length`] = model.contextMax
  return {
    modelfile: `# ${model.id} as Holon serves it\nFROM ${model.id}\n`,
    parameters: '',
    template: '',
    license: '',
    details: details(model),
    model_info: info,
    capabilities: model.embedding ? ['embedding'] : ['completion', 'tools'],
    modified_at: modifiedAt,
  }
}
