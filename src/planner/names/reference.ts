/**
 * What kind of thing a reference to a model is: a Hugging Face repository, a file, an Ollama tag, a path. Only this
 * file knows the spelling of each; what the words in a name mean is the next one's business.
 */
export interface Reference {
  form: 'ollama' | 'repository' | 'file' | 'plain'
  /** In lower case; null when the reference names none. */
  owner: string | null
  /** The name without owner, extension and split number. For Ollama without the tag. */
  stem: string
  /** Of an Ollama name; empty when there is none. */
  tag: string
  /** A further name worth looking at when the stem says nothing: the repository of a file. */
  repository: string | null
}

const maxLength = 512
const hosts = /^(?:https?:\/\/)?(?:(?:www\.)?huggingface\.co|hf\.co|(?:registry\.)?ollama\.(?:ai|com))\//i
const scheme = /^(?:hf|huggingface|ollama):(?:\/\/)?/i
const modelFile = /\.(?:gguf|ggml|bin|safetensors|mlx|onnx)$/i
const splitNumber = /-\d{5}-of-\d{5}$/i

export function readReference(text: string): Reference {
  const plain = text.normalize('NFKC').slice(0, maxLength).trim()
  const named = plain
    .replace(hosts, '')
    .replace(scheme, '')
    .replace(/^library\//, '')
  const cached = /models--([^/\\]+?)--([^/\\]+)/.exec(named)
  if (cached) return reference('repository', cached[1]!, cached[2]!, '', null)
  const absolute = /^(?:[/\\~.]|[A-Za-z]:[/\\])/.test(named)
  const parts = named.split(/[/\\]+/).filter((part) => part !== '' && part !== '.' && part !== '..')
  const last = parts.at(-1) ?? ''
  const file = modelFile.test(last)
  if (file || absolute) return ofPath(parts, last, file, absolute)
  if (parts.length === 1) return ofOneWord(last, plain)
  const [owner = '', name = ''] = parts
  const [stem, tag] = cut(name)
  const hugging = plain !== named && !/ollama/i.test(plain)
  if (tag !== '' && !hugging) return reference('ollama', owner, stem, tag, null)
  return reference('repository', owner, tag === '' ? stem : `${stem}-${tag}`, '', null)
}

function ofPath(parts: string[], last: string, file: boolean, absolute: boolean): Reference {
  const stem = file ? last.replace(modelFile, '').replace(splitNumber, '') : last
  const owned = absolute ? parts.length >= 2 && !file : parts.length >= 3
  if (absolute && !owned) return reference('file', null, stem, '', null)
  if (absolute) return reference('repository', null, stem, '', null)
  return reference('file', owned ? parts[0]! : null, stem, '', owned ? parts[1]! : null)
}

function ofOneWord(word: string, whole: string): Reference {
  const [stem, tag] = cut(word)
  if (tag !== '' || /^ollama:/i.test(whole)) return reference('ollama', null, stem, tag, null)
  return reference('plain', null, stem, '', null)
}

function cut(name: string): [string, string] {
  const at = name.lastIndexOf(':')
  return at <= 0 ? [name, ''] : [name.slice(0, at), name.slice(at + 1)]
}

function reference(
  form: Reference['form'],
  owner: string | null,
  stem: string,
  tag: string,
  repository: string | null,
): Reference {
  return {
    form,
    owner: owner === null ? null : plainWord(owner) || null,
    stem,
    tag: tag.toLowerCase(),
    repository,
  }
}

/** Names that tools give when they know none: the header or the folder must tell. In any case of letters. */
const sayNothing =
  /^(?:(?:ggml|pytorch|consolidated)?[-_. ]*(?:model|weights|unnamed|merged(?:[-_ ]model)?|outputs?|checkpoint[-_ ]?\d*|lora[-_ ]?(?:model)?|finetuned?|final|latest|snapshots?|tmp\w*|workspace|hf|main|gguf|sha256[-_:]?[0-9a-f]*|[0-9a-f]{12,64}))$/i

export const saysNothing = (stem: string): boolean => stem === '' || sayNothing.test(stem)

/** Lower case, in characters that need no quoting; empty when nothing of it is left. */
export const plainWord = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9.+_-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
