/** What the hub must know of a model that only a member can read: its shape, from the file's own header. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileByteSource } from '../formats/byte-source-file.ts'
import { readGgufSet } from '../formats/gguf/read-gguf-set.ts'
import { modelFromGguf } from '../formats/model-spec/from-gguf.ts'
import { modelFromSafetensors } from '../formats/model-spec/from-safetensors.ts'
import { readSafetensors, type SafetensorsHeader } from '../formats/safetensors/read-safetensors.ts'
import { type ModelHeader, modelHeader } from '../protocol/model-header.ts'

/** Reading a header takes milliseconds; a preview asks for it again and again. */
const known = new Map<string, ModelHeader | null>()
const maxKnown = 64

/** Null for what is neither a GGUF file nor a folder of safetensors, or cannot be read: the hub then plans by the model's name. Never throws. */
export async function readModelHeader(path: string): Promise<ModelHeader | null> {
  try {
    const info = await stat(path)
    const { mtimeMs, size } = info
    const key = `${path}|${mtimeMs}|${size}`
    const before = known.get(key)
    if (before !== undefined) return before
    const checked = modelHeader.safeParse(await (info.isDirectory() ? fromFolder(path) : fromGguf(path)))
    if (known.size >= maxKnown) known.clear()
    known.set(key, checked.success ? checked.data : null)
    return checked.success ? checked.data : null
  } catch {
    return null
  }
}

async function fromGguf(path: string): Promise<unknown> {
  const set = await readGgufSet(path)
  return modelFromGguf(set.header, set.tensors, path)
}

/** As MLX and vLLM read it: a config and shards. */
async function fromFolder(path: string): Promise<unknown> {
  const config: unknown = JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))
  const headers: SafetensorsHeader[] = []
  for (const name of (await readdir(path)).filter((each) => each.endsWith('.safetensors')).sort()) {
    const source = await fileByteSource(join(path, name))
    try {
      headers.push(await readSafetensors(source))
    } finally {
      await source.close()
    }
  }
  return modelFromSafetensors(config, headers, path)
}
