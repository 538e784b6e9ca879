/** Which of a repository's files to pull. Pure: a list of files in, a choice with its reason out. */
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { parseSplitName } from '../../formats/gguf/split-name.ts'

export interface RemoteFile {
  /** Path within the repository. */
  path: string
  sizeBytes: number
  /** Lower-case hexadecimal, when the source tells it. */
  sha256: string | null
}

/** One model of a repository: a file, or all the files of a split. */
export interface RemoteModel {
  /** `Q4_K_M`, or null when the name does not say. */
  quant: string | null
  files: RemoteFile[]
  sizeBytes: number
}

export interface QuantChoice extends RemoteModel {
  /** Why this one, in one sentence for people. */
  because: string
}

/** The usual balance of size and quality first; what loses much, or needs more memory than it gives, last. */
const preference = [
  'Q4_K_M',
  'UD-Q4_K_XL',
  'Q4_K_XL',
  'MXFP4',
  'MXFP4_MOE',
  'Q4_K_S',
  'IQ4_XS',
  'IQ4_NL',
  'Q4_0',
  'Q5_K_M',
  'Q5_K_S',
  'Q6_K',
  'Q8_0',
  'Q4_1',
  'NVFP4',
  'Q3_K_L',
  'Q3_K_M',
]

const quantInName =
  /(?:^|[-_.])((?:UD-)?I?Q\d(?:_K(?:_(?:XXS|XS|S|M|L|XL|XXL))?|_[01]|_NL|_XXS|_XS|_S|_M|_L)?|TQ[12]_0|B?F16|FP16|F32|MXFP4(?:_MOE)?|NVFP4)(?=$|[-_.])/gi

/** The quant that a file name states, in the usual spelling: `model-q4_k_m.gguf` is `Q4_K_M`. */
export function quantOfName(path: string): string | null {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const stem = (parseSplitName(name)?.base ?? name).replace(/\.gguf$/i, '')
  return [...stem.matchAll(quantInName)].at(-1)?.[1]?.toUpperCase() ?? null
}

/**
 * Groups the GGUF files of a repository into models; leaves out what is no model (projectors, importance matrices).
 * A split that lacks a part is left out too: it could not be loaded.
 */
export function remoteModels(files: readonly RemoteFile[]): RemoteModel[] {
  const groups = new Map<string, RemoteFile[]>()
  for (const file of files) {
    const name = file.path.slice(file.path.lastIndexOf('/') + 1)
    if (!/\.gguf$/i.test(name) || /mmproj|imatrix/i.test(name)) continue
    const key = parseSplitName(file.path)?.base ?? file.path
    groups.set(key, [...(groups.get(key) ?? []), file])
  }
  const models: RemoteModel[] = []
  for (const group of groups.values()) {
    const parts = group.sort((a, b) => (a.path < b.path ? -1 : 1))
    const first = parts[0]!
    if ((parseSplitName(first.path)?.count ?? 1) !== parts.length) continue
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
    models.push({ quant: quantOfName(first.path), files: parts, sizeBytes })
  }
  return models
}

/** @throws HolonError model_not_found with the choices when none matches */
export function chooseQuant(
  repo: string,
  models: readonly RemoteModel[],
  wanted: string | null,
): QuantChoice {
  if (models.length === 0) {
    throw new HolonError('model_not_found', `${repo} holds no GGUF model.`, {
      hint: 'Holon serves GGUF files; look for a repository of the same model with "GGUF" in its name.',
    })
  }
  if (wanted !== null) return chooseWanted(repo, models, wanted)
  const [only] = models
  if (only && models.length === 1) return { ...only, because: 'It is the only model of the repository.' }
  const ranked = [...models].sort((a, b) => rank(a) - rank(b) || a.sizeBytes - b.sizeBytes)
  const best = ranked[0]!
  const others = models.filter((model) => model !== best).map(label)
  return {
    ...best,
    because: `${label(best)} was chosen of ${models.length}; append :QUANT for another (${others.join(', ')}).`,
  }
}

function chooseWanted(repo: string, models: readonly RemoteModel[], wanted: string): QuantChoice {
  const upper = wanted.toUpperCase()
  const matching = models.filter((model) => model.quant === upper || model.quant === `UD-${upper}`)
  const exact = matching.find((model) => model.quant === upper) ?? matching[0]
  if (exact) return { ...exact, because: `${exact.quant} was asked for.` }
  const choices = [...models].sort((a, b) => a.sizeBytes - b.sizeBytes).map(label)
  throw new HolonError('model_not_found', `${repo} has no quant ${upper}. It has: ${choices.join(', ')}.`, {
    hint: `Choose one of them, for example \`holon pull ${repo}:${models[0]?.quant ?? 'Q4_K_M'}\`.`,
  })
}

function rank(model: RemoteModel): number {
  const place = preference.indexOf(model.quant ?? '')
  return place < 0 ? preference.length : place
}

function label(model: RemoteModel): string {
  const name = model.quant ?? model.files[0]?.path ?? '?'
  return `${name} (${formatBytes(model.sizeBytes)})`
}
