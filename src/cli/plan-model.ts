import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { HolonError } from '../core/errors.ts'
import { fileByteSource } from '../formats/byte-source-file.ts'
import { httpByteSource } from '../formats/byte-source-http.ts'
import { readGguf } from '../formats/gguf/read-gguf.ts'
import { readGgufSet } from '../formats/gguf/read-gguf-set.ts'
import { modelFromConfig } from '../formats/model-spec/from-config.ts'
import { type ModelFromFile, modelFromGguf } from '../formats/model-spec/from-gguf.ts'
import { modelFromSafetensors } from '../formats/model-spec/from-safetensors.ts'
import { readSafetensors, type SafetensorsHeader } from '../formats/safetensors/read-safetensors.ts'
import { findQuant, weightBytes } from '../planner/index.ts'

/**
 * A model given as a file, a folder or a URL, described from its own header; null when the text is a name. The
 * header wins over any catalogue: it is what will be loaded.
 */
export async function modelFromPlace(text: string, quant: string | undefined): Promise<ModelFromFile | null> {
  if (/^https?:\/\//i.test(text)) return fromUrl(text)
  const info = await stat(text).catch(() => null)
  if (/\.gguf$/i.test(text)) return fromGgufFile(text)
  if (info?.isDirectory()) return fromFolder(text, quant)
  if (/\.safetensors$/i.test(text)) return fromFolder(dirname(text), quant)
  if (/config\.json$/i.test(text) && info) return fromFolder(dirname(text), quant)
  return null
}

async function fromGgufFile(path: string): Promise<ModelFromFile> {
  const set = await readGgufSet(path)
  return modelFromGguf(set.header, set.tensors, path)
}

async function fromUrl(url: string): Promise<ModelFromFile> {
  if (!/\.gguf(\?|$)/i.test(url))
    throw new HolonError('invalid_parameter', `${url} is not the address of a GGUF file.`, {
      param: 'model',
      hint: 'Name a .gguf file; its header is read by byte range, nothing else is downloaded.',
    })
  const source = httpByteSource(url)
  try {
    const header = await readGguf(source)
    if (header.split && header.split.count > 1)
      throw new HolonError(
        'invalid_parameter',
        `${url} is part ${header.split.index + 1} of ${header.split.count}; one part does not tell the size of the whole.`,
        {
          param: 'model',
          hint: 'Plan by name and quant, or download the model first.',
        },
      )
    return modelFromGguf(header, header.tensors, url)
  } finally {
    await source.close()
  }
}

async function fromFolder(folder: string, quant: string | undefined): Promise<ModelFromFile> {
  const configPath = join(folder, 'config.json')
  const text = await readFile(configPath, 'utf8').catch(() => null)
  if (text === null)
    throw new HolonError('model_file_missing', `There is no config.json in ${folder}.`, {
      hint: 'A safetensors model is planned from its folder: config.json beside the weights.',
    })
  const config = parseJson(text, configPath)
  const headers = await weightHeaders(folder)
  if (headers.length > 0) return modelFromSafetensors(config, headers, folder)
  const mix = findQuant(quant ?? 'BF16')
  const model = modelFromConfig(config, configPath)
  return { model, quant: mix, weights: weightBytes(model, mix, null) }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new HolonError('model_file_invalid', `${path} is not JSON.`)
  }
}

async function weightHeaders(folder: string): Promise<SafetensorsHeader[]> {
  const index = await readFile(join(folder, 'model.safetensors.index.json'), 'utf8').catch(() => null)
  const listed =
    index === null
      ? null
      : (parseJson(index, 'model.safetensors.index.json') as { weight_map?: Record<string, string> })
  const names = listed?.weight_map ? [...new Set(Object.values(listed.weight_map))] : ['model.safetensors']
  const headers: SafetensorsHeader[] = []
  for (const name of names) {
    const path = join(folder, name)
    const there = await stat(path).catch(() => null)
    if (!there) {
      if (listed)
        throw new HolonError('model_file_missing', `${path} is listed in the index and is not there.`)
      continue
    }
    const source = await fileByteSource(path)
    try {
      headers.push(await readSafetensors(source))
    } finally {
      await source.close()
    }
  }
  return headers
}
