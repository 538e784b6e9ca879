/**
 * A name to the model it means. Quant, format and packaging are taken out; every other word stays, known or not, so
 * that two names meet only when they agree in all that could make the weights differ. The result is a canonical name
 * like `qwen2.5-7b-instruct`, which reads back as itself.
 */
import { type Family, familyOf } from './families.ts'
import { ollamaMeaning } from './ollama-library.ts'
import { identifyingOwner, splitOwnerPrefix } from './owners.ts'
import { type QuantName, splitQuant } from './quant-name.ts'
import { plainWord, type Reference, readReference, saysNothing } from './reference.ts'
import { isActive, isSize, wordsOf } from './spelling.ts'

export interface ModelName {
  /** Lower case, in characters that need no quoting in URLs and shells. Empty only for an empty name. */
  canonical: string
  /** Known family, as canonical names begin: `qwen2.5-coder`. */
  family: string | null
  /** `7b`, `8x7b`, `e4b`. */
  size: string | null
  /** `a3b`, for mixtures of experts that say so. */
  active: string | null
  /** What is neither family nor size, in order: `instruct`, `v0.3`, the words of a fine-tune. */
  variant: readonly string[]
  quant: QuantName | null
  /** All words that the name itself gives, without those that are implied. */
  words: readonly string[]
  /** True when the name is no more than what a tool writes when it knows none ("model.gguf"). */
  empty: boolean
}

/** Modalities that Hugging Face writes after the size and Ollama before it. */
const modalities = new Set(['vision', 'vl', 'coder', 'math'])
const version = /^(?:v\d+(?:\.\d+)*|\d{4}|\d{6})$/

/**
 * Never throws. A name of odd characters can leave something that reads as another kind of reference; it is read again
 * until it stands, because a canonical name that does not read back as itself could not be asked for.
 * @param text a repository, a file, a path, an Ollama tag, a canonical name
 */
export function parseModelName(text: string): ModelName {
  let name = readOnce(text)
  for (let round = 0; round < maxRounds; round++) {
    const again = readOnce(name.canonical)
    if (again.canonical === name.canonical) return name
    name = { ...again, quant: name.quant ?? again.quant, empty: name.empty || again.empty }
  }
  return { ...nothing, quant: name.quant }
}

const maxRounds = 6

function readOnce(text: string): ModelName {
  const { body, doubt } = cutDoubt(text)
  const mlx = /mlx/i.test(body)
  const name = body === '' ? nothing : fromReference(readReference(body), mlx)
  return doubt === '' || name.empty ? name : { ...name, canonical: name.canonical + doubt }
}

const nothing: ModelName = {
  canonical: '',
  family: null,
  size: null,
  active: null,
  variant: [],
  quant: null,
  words: [],
  empty: true,
}

/** `name~1.2b`: what the file's header contradicts in its name; part of the identity, see `identify`. */
function cutDoubt(text: string): { body: string; doubt: string } {
  const match = /(?:~[a-z0-9.]{1,24})+$/.exec(text)
  return match ? { body: text.slice(0, match.index), doubt: match[0] } : { body: text, doubt: '' }
}

function fromReference(reference: Reference, mlx: boolean): ModelName {
  if (reference.form === 'ollama') return fromOllama(reference)
  if (saysNothing(reference.stem) && reference.repository !== null) {
    return fromReference({ ...reference, stem: reference.repository, repository: null }, mlx)
  }
  const prefixed = reference.owner === null ? splitOwnerPrefix(reference.stem) : null
  const stem = prefixed?.stem ?? splitOwnerPrefix(reference.stem).stem
  const { quant, rest } = splitQuant(stem, mlx)
  const name = fromWords(wordsOf(rest), quant)
  const owner = identifyingOwner(prefixed?.owner ?? reference.owner, name.canonical)
  const canonical = owner === null || name.canonical === '' ? name.canonical : `${owner}/${name.canonical}`
  return { ...name, canonical, empty: canonical === '' || saysNothing(reference.stem) }
}

/** Someone's own (`me/model:tag`) and what is not certain keep Ollama's form, which no other name has. */
function fromOllama({ owner, stem, tag }: Reference): ModelName {
  const { quant, rest } = splitQuant(tag)
  const plainTag = rest.replace(/-+/g, '-').replace(/^-|-$/g, '')
  const name = stem.toLowerCase()
  const meaning = owner === null ? ollamaMeaning(name, plainTag) : null
  if (meaning !== null) return fromWords(wordsOf(meaning), quant)
  const words = wordsOf(`${name}-${plainTag}`)
  const label = `${plainWord(name)}:${plainWord(plainTag) || 'latest'}`
  const canonical = owner === null ? label : `${owner}/${label}`
  return {
    ...nothing,
    canonical,
    quant,
    words,
    size: words.find(isSize) ?? null,
    empty: plainWord(name) === '',
  }
}

function fromWords(given: readonly string[], quant: QuantName | null): ModelName {
  const words = sizeInPlace(given)
  const family = familyOf(words.join('-'))
  const spelled = family?.gemmaWords ? words.map(gemmaWord) : words
  const complete = withImplied(spelled, family)
  const at = complete.findIndex(isSize)
  const head = family?.id.split('-').length ?? (at < 0 ? complete.length : at)
  const variant = complete.slice(head).filter((word, index) => index + head !== at && !isActive(word))
  return {
    canonical: complete.join('-'),
    family: family?.id ?? null,
    size: at < 0 ? null : complete[at]!,
    active: complete.find(isActive) ?? null,
    variant,
    quant,
    words: spelled,
    empty: complete.length === 0,
  }
}

const gemmaWord = (word: string): string => (word === 'it' ? 'instruct' : word === 'pt' ? 'base' : word)

/** Known families only: a modality goes before the size, and a size that names imply goes behind the family. */
function sizeInPlace(words: readonly string[]): readonly string[] {
  const family = familyOf(words.join('-'))
  const at = words.findIndex(isSize)
  if (family === null || at < 0) return words
  const before = words.slice(0, at)
  const after = words.slice(at + 1)
  const moved = after.filter((word) => modalities.has(word))
  const ordered = [...before, ...moved, words[at]!, ...after.filter((word) => !modalities.has(word))]
  const exact = familyOf(ordered.join('-'))
  if (exact?.size === undefined || exact.size !== words[at]) return ordered
  const length = exact.id.split('-').length
  const rest = ordered.filter((_, index) => index !== at + moved.length)
  return [...rest.slice(0, length), exact.size, ...rest.slice(length)]
}

/** What a family's names leave out: its only size, and that the plain name is the base (or the tuned) model. */
function withImplied(words: readonly string[], family: Family | null): string[] {
  const complete = [...words]
  if (family === null) return complete
  const length = family.id.split('-').length
  if (family.size !== undefined && !complete.some(isSize)) complete.splice(length, 0, family.size)
  const at = complete.findIndex(isSize)
  const rest = complete.slice(length).filter((word) => !isSize(word) && !isActive(word))
  if (family.plain !== undefined && at >= 0 && rest.every((word) => version.test(word))) {
    const behind = isActive(complete[at + 1] ?? '') ? at + 2 : at + 1
    complete.splice(behind, 0, family.plain)
  }
  return complete
}
