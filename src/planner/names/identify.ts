/**
 * Which model a file or an engine's entry is. The file's own header speaks first; the name it goes by may add to it,
 * because a fine-tune often keeps its base's header. Where the two contradict each other, or the weights are of
 * another size or architecture than the name says, the model stays apart: a grouping that is missed costs a choice,
 * a wrong one serves the wrong model.
 */
import { sizeInName } from '../model-name.ts'
import { familyOf } from './families.ts'
import { type ModelName, parseModelName } from './parse-model-name.ts'
import { type QuantName, readQuant } from './quant-name.ts'
import { saysNothing } from './reference.ts'

/** What a header says of a model's name: GGUF's `general.*`, or the same from Ollama's `model_info`. */
export interface HeaderNaming {
  name?: string | null
  basename?: string | null
  sizeLabel?: string | null
  finetune?: string | null
  version?: string | null
  /** Of the models it was made from. More than one is a merge. */
  baseModels?: readonly string[]
}

export interface ModelEvidence {
  /** The name callers use at its node. */
  id: string
  path?: string | null
  /** A repository and file, a URL, or a path. */
  source?: string | null
  naming?: HeaderNaming | null
  quant?: string | null
  paramsTotal?: number | null
  architecture?: string | null
  weightsId?: string | null
}

export interface ModelIdentity {
  canonical: string
  family: string | null
  size: string | null
  active: string | null
  variant: readonly string[]
  quant: QuantName | null
  /** Where the identity comes from, for people who wonder. */
  from: 'header' | 'name'
}

/** Never throws. */
export function identify(evidence: ModelEvidence): ModelIdentity {
  const given = nameOf(evidence)
  const header = headerName(evidence.naming ?? null)
  const { name, from } = agree(given, header)
  const canonical = name.canonical + contradictions(name, evidence)
  const mlx = /mlx/i.test(`${evidence.source ?? ''} ${evidence.id}`)
  const quant = (evidence.quant ? readQuant(evidence.quant, mlx) : null) ?? given.quant ?? name.quant
  const finer =
    quant !== null && given.quant !== null && given.quant.bits === quant.bits ? given.quant : quant
  const { family, size, active, variant } = name
  return { canonical: canonical || unnamed(evidence), family, size, active, variant, quant: finer, from }
}

/** The most telling of the names it goes by: the repository and file, the file alone, the id. */
function nameOf({ id, path, source }: ModelEvidence): ModelName {
  const repository = source && /^[\w.-]+\/[\w.-]+/.test(source) ? source : null
  const url = source && /^https?:/.test(source) ? (source.split('/').at(-1) ?? null) : null
  for (const text of [repository, url, path, id]) {
    const name = text ? parseModelName(text) : null
    if (name && !name.empty) return name
  }
  return parseModelName('')
}

/**
 * `general.name` carries all words as the maker wrote them; the parts only stand in for it. The size label is computed
 * by the converter when the name has none (phi-4 is "15B"), so it is never added to a name.
 */
function headerName(naming: HeaderNaming | null): ModelName | null {
  if (naming === null) return null
  const { name, basename, sizeLabel, finetune, version } = naming
  const whole = [name, [basename, sizeLabel, finetune, version].filter((part) => part).join('-')]
  for (const text of whole) {
    if (!text || saysNothing(text)) continue
    const missing = text === name ? [finetune, version].filter((part) => part && !holds(text, part)) : []
    const parsed = parseModelName([text, ...missing].join('-').replace(/[/\\:]/g, '-'))
    if (!parsed.empty) return parsed
  }
  return null
}

const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9.]+/g, '')
const holds = (text: string, part: string): boolean => plain(text).includes(plain(part))

function agree(given: ModelName, header: ModelName | null): { name: ModelName; from: 'header' | 'name' } {
  if (header === null) return { name: given, from: 'name' }
  if (given.empty) return { name: header, from: 'header' }
  const within = (a: ModelName, b: ModelName) => a.words.every((word) => b.words.includes(word))
  // Somebody's own upload under a known name is apart, whatever its header kept from the base.
  const owned = given.canonical.includes('/')
  if (!owned && within(given, header)) return { name: header, from: 'header' }
  return { name: given, from: within(header, given) ? 'header' : 'name' }
}

/** `~1.2b` when the weights are not of the size the name says, `~llama` for another architecture, `~merge`. */
function contradictions(name: ModelName, evidence: ModelEvidence): string {
  let found = ''
  const { paramsTotal, architecture, naming } = evidence
  if (paramsTotal && wrongSize(name, paramsTotal)) found += `~${Number((paramsTotal / 1e9).toPrecision(2))}b`
  const expected = name.family === null ? undefined : familyOf(name.canonical)?.architectures
  const actual = architecture?.toLowerCase()
  if (expected && actual && !expected.test(actual))
    found += `~${actual.replace(/[^a-z0-9.]+/g, '').slice(0, 20)}`
  if (isHiddenMerge(name, naming?.baseModels ?? [])) found += '~merge'
  return found
}

/** Names round ("Falcon3-1B" has 1.7), and a vision tower or an untied head adds; another size is further off. */
function wrongSize(name: ModelName, paramsTotal: number): boolean {
  // "17B-16E" counts what is active.
  if (name.size === null || name.size.startsWith('e') || name.words.some((word) => /^\d+e$/.test(word)))
    return false
  const stated = name.canonical.split('-').map((word) => sizeInName(word).totalB)
  const known = stated.filter((size) => size !== null && size > 0) as number[]
  return (
    known.length > 0 &&
    known.every((size) => paramsTotal / 1e9 / size < 0.6 || paramsTotal / 1e9 / size > 1.75)
  )
}

/** A merge of several models that goes by the name of one of them. */
function isHiddenMerge(name: ModelName, baseModels: readonly string[]): boolean {
  if (baseModels.length < 2) return false
  return baseModels.some((base) => parseModelName(base).canonical === name.canonical)
}

/** Nobody says what it is: only its weights can tell it from another such file. */
function unnamed({ id, weightsId }: ModelEvidence): string {
  const own = parseModelName(id).canonical
  return weightsId
    ? `unnamed~${weightsId
        .replace(/[^a-z0-9]+/gi, '')
        .toLowerCase()
        .slice(0, 24)}`
    : own || 'unnamed'
}
