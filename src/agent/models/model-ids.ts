/**
 * The name callers use for a model. It comes from the file's name, because that is what people know; it stays the
 * same when other models come and go, so names once given are kept in a file.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { parseSplitName } from '../../formats/gguf/split-name.ts'

export interface Nameable {
  path: string
  /** From the header, for files whose own name says nothing. */
  name: string | null
  quant: string | null
}

const maxLength = 96
const sayNothing = /^(ggml-)?model([-_.](f16|f32|bf16|q\d\w*))?$|^ggml-model|^unnamed$/i

/** `Qwen2.5-7B-Instruct-Q4_K_M` from the file's name, or from the header when the file is called `model.gguf`. */
export function friendlyId({ path, name, quant }: Nameable): string {
  const file = basename(path)
  const stem = parseSplitName(file)?.base ?? file.replace(/\.gguf$/i, '')
  if (!sayNothing.test(stem) || !name) return plain(stem)
  return plain(quant ? `${name}-${quant}` : name)
}

/** What may stand in a name: it goes through URLs, JSON and shells unquoted. */
function plain(text: string): string {
  const id = text
    .replace(/[^\w.+-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, maxLength)
  return id === '' ? 'model' : id
}

/**
 * Gives every model its name. `known` maps paths to names given before; they are kept, as long as two models do not
 * claim one name. Pure; returns the names for all `models`.
 */
export function assignIds(
  models: readonly Nameable[],
  known: ReadonlyMap<string, string>,
  reserved: ReadonlySet<string>,
): Map<string, string> {
  const ids = new Map<string, string>()
  const taken = new Set([...reserved].map((id) => id.toLowerCase()))
  const take = (path: string, id: string): boolean => {
    if (taken.has(id.toLowerCase())) return false
    taken.add(id.toLowerCase())
    ids.set(path, id)
    return true
  }
  for (const model of models) {
    const id = known.get(model.path)
    if (id !== undefined) take(model.path, id)
  }
  for (const model of models) {
    if (ids.has(model.path)) continue
    const id = friendlyId(model)
    const owner = plain(basename(dirname(dirname(model.path))))
    const candidates = [id, `${id}-${owner}`]
    if (candidates.some((candidate) => take(model.path, candidate))) continue
    for (let number = 2; !take(model.path, `${id}-${number}`); number++);
  }
  return ids
}

const fileName = 'ids.json'

/** The names given before; empty when there are none or the file is damaged. */
export async function readIds(folder: string): Promise<Map<string, string>> {
  try {
    const stored: unknown = JSON.parse(await readFile(join(folder, fileName), 'utf8'))
    if (typeof stored !== 'object' || stored === null) return new Map()
    return new Map(
      Object.entries(stored).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    )
  } catch {
    return new Map()
  }
}

export async function writeIds(folder: string, ids: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, fileName)
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, `${JSON.stringify(Object.fromEntries([...ids].sort()), null, 2)}\n`)
  await rename(temporary, path)
}
