/**
 * What Ollama's short names mean. `llama3.1:8b` is the instruct model although Hugging Face's plain name is the base.
 * Tags that have pointed to different weights over time (`mistral:7b`, `qwen3:30b`, `deepseek-r1:8b`) are left out on
 * purpose: they keep their Ollama name and are not grouped with anything, unless the file's own header tells more.
 */
interface LibraryEntry {
  /** How canonical names of it begin. */
  as: string
  /** What the tag `latest` stands for. */
  latest: string | null
  /** Sizes whose plain tag has meant one thing only. */
  sizes: readonly string[]
  /** Follows the size when the tag is a size alone. */
  bare: string
  /** A longer tag must say this much to be certain. */
  needs?: RegExp
  /** "text" in a tag is the base model. */
  text?: true
}

const entry = (
  as: string,
  latest: string | null,
  sizes: string,
  bare = '',
  more: Pick<LibraryEntry, 'needs' | 'text'> = {},
): LibraryEntry => ({ as, latest, sizes: sizes.split(' '), bare, ...more })

const library: Readonly<Record<string, LibraryEntry>> = {
  llama2: entry('llama-2', '7b', '7b 13b 70b', 'chat', { text: true }),
  llama3: entry('llama-3', '8b', '8b 70b', 'instruct', { text: true }),
  'llama3.1': entry('llama-3.1', '8b', '8b 70b 405b', 'instruct', { text: true }),
  'llama3.2': entry('llama-3.2', '3b', '1b 3b', 'instruct', { text: true }),
  'llama3.2-vision': entry('llama-3.2-vision', '11b', '11b 90b', 'instruct'),
  'llama3.3': entry('llama-3.3', '70b', '70b', 'instruct'),
  codellama: entry('codellama', '7b', '7b 13b 34b 70b', 'instruct'),
  tinyllama: entry('tinyllama', '1.1b', '1.1b', 'chat-v1.0', { needs: /v\d/ }),
  qwen2: entry('qwen2', '7b', '0.5b 1.5b 7b 72b', 'instruct', { text: true }),
  'qwen2.5': entry('qwen2.5', '7b', '0.5b 1.5b 3b 7b 14b 32b 72b', 'instruct'),
  'qwen2.5-coder': entry('qwen2.5-coder', '7b', '0.5b 1.5b 3b 7b 14b 32b', 'instruct'),
  'qwen2.5vl': entry('qwen2.5-vl', '7b', '3b 7b 32b 72b', 'instruct'),
  qwen3: entry('qwen3', '8b', '0.6b 1.7b 8b 14b 32b', ''),
  'qwen3-coder': entry('qwen3-coder', '30b', '', ''),
  qwq: entry('qwq', '32b', '32b', ''),
  gemma2: entry('gemma-2', '9b', '2b 9b 27b', 'instruct', { text: true }),
  gemma3: entry('gemma-3', '4b', '1b 4b 12b 27b', 'instruct'),
  gemma3n: entry('gemma-3n', 'e4b', 'e2b e4b', 'instruct'),
  mistral: entry('mistral', null, '', '', { needs: /v0\.\d/, text: true }),
  mixtral: entry('mixtral', '8x7b', '8x7b 8x22b', 'instruct-v0.1', { needs: /v0\.\d/, text: true }),
  'mistral-nemo': entry('mistral-nemo', '12b', '12b', 'instruct-2407'),
  'mistral-small3.1': entry('mistral-small-3.1', '24b', '24b', 'instruct-2503'),
  'mistral-small3.2': entry('mistral-small-3.2', '24b', '24b', 'instruct-2506'),
  codestral: entry('codestral', '22b', '22b', 'v0.1'),
  phi4: entry('phi-4', '14b', '14b', ''),
  'phi4-mini': entry('phi-4-mini', '3.8b', '3.8b', 'instruct'),
  'phi4-reasoning': entry('phi-4-reasoning', '14b', '14b', ''),
  'phi3.5': entry('phi-3.5-mini', '3.8b', '3.8b', 'instruct'),
  'deepseek-r1': entry('deepseek-r1', null, '', '', { needs: /distill|0528/ }),
  'deepseek-v3': entry('deepseek-v3', '671b', '671b', '', { needs: /\d{4}/ }),
  'gpt-oss': entry('gpt-oss', '20b', '20b 120b', ''),
  smollm2: entry('smollm2', '1.7b', '135m 360m 1.7b', 'instruct'),
  'granite3.1-dense': entry('granite-3.1', '8b', '2b 8b', 'instruct'),
  'granite3.2': entry('granite-3.2', '8b', '2b 8b', 'instruct'),
  'granite3.3': entry('granite-3.3', '8b', '2b 8b', 'instruct'),
  falcon3: entry('falcon3', '7b', '1b 3b 7b 10b', 'instruct'),
  olmo2: entry('olmo-2-1124', '7b', '7b 13b', 'instruct'),
  'exaone3.5': entry('exaone-3.5', '7.8b', '2.4b 7.8b 32b', 'instruct'),
  hermes3: entry('hermes-3-llama-3.1', '8b', '8b 70b 405b', ''),
  dolphin3: entry('dolphin3.0-llama-3.1', '8b', '8b', ''),
  zephyr: entry('zephyr', '7b', '', '', { needs: /alpha|beta/ }),
  solar: entry('solar', '10.7b', '10.7b', 'instruct-v1.0'),
  'aya-expanse': entry('aya-expanse', '8b', '8b 32b', ''),
}

const size = /^(?:\d+x)?[e]?\d+(?:\.\d+)?[bm]$/
/** DeepSeek's distillates carry the base's name after the size in Ollama and before it everywhere else. */
const distilled = /^(\d+(?:\.\d+)?b)-(qwen|llama)-distill$/

/** The plain name that an Ollama name stands for, or null when it is not certain. Lower case, without quant. */
export function ollamaMeaning(name: string, tag: string): string | null {
  const known = Object.hasOwn(library, name) ? library[name] : undefined
  if (!known) return null
  if (name === 'deepseek-r1') {
    const [, params, base] = distilled.exec(tag) ?? []
    if (params && base) return `deepseek-r1-distill-${base}-${params}`
    if (tag === '8b-0528-qwen3') return 'deepseek-r1-0528-qwen3-8b'
  }
  const asked = tag === 'latest' || tag === '' ? known.latest : tag
  if (asked === null) return null
  const [first = '', ...words] = asked.split('-')
  if (!size.test(first)) return null
  if (words.length === 0) {
    if (!known.sizes.includes(first)) return null
    return [known.as, first, known.bare].filter((part) => part !== '').join('-')
  }
  const rest = words.join('-')
  if (known.needs && !known.needs.test(rest)) return null
  return `${known.as}-${first}-${known.text ? rest.replace(/^text(?=-|$)/, 'base') : rest}`
}

/** True for a name that Ollama's users write without a tag ("llama3.1"). */
export const isOllamaLibraryName = (name: string): boolean => Object.hasOwn(library, name)
