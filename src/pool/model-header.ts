/** What the hub must know of a model that only a member can read: its shape, from the file's own header. */
import { stat } from 'node:fs/promises'
import { readGgufSet } from '../formats/gguf/read-gguf-set.ts'
import { modelFromGguf } from '../formats/model-spec/from-gguf.ts'
import { type ModelHeader, modelHeader } from '../protocol/model-header.ts'

/** Reading a header takes milliseconds; a preview asks for it again and again. */
const known = new Map<string, ModelHeader | null>()
const maxKnown = 64

/** Null for what is no GGUF file or cannot be read: the hub then plans by the model's name. Never throws. */
export async function readModelHeader(path: string): Promise<ModelHeader | null> {
  try {
    const { mtimeMs, size } = await stat(path)
    const key = `${path}|${mtimeMs}|${size}`
    const before = known.get(key)
    if (before !== undefined) return before
    const set = await readGgufSet(path)
    const checked = modelHeader.safeParse(modelFromGguf(set.header, set.tensors, path))
    if (known.size >= maxKnown) known.clear()
    known.set(key, checked.success ? checked.data : null)
    return checked.success ? checked.data : null
  } catch {
    return null
  }
}
