/**
 * What cannot be read from a name's letters: which families call their base model by the plain name, which leave the
 * size out, which say "it" for "instruct", and on which architectures they run. Everything else about a name is kept
 * word by word, so a family that is missing here costs a grouping and never a wrong one.
 */
export interface Family {
  /** As canonical names begin. */
  id: string
  /** `base`: a name without a variant is the base model ("Llama-3.1-8B"). `instruct`: it is the tuned one. */
  plain?: 'base' | 'instruct'
  /** For families of one size that names usually leave out. */
  size?: string
  /** "it" means instruct and "pt" base. */
  gemmaWords?: true
  /** `general.architecture` of its files; another one means other weights. */
  architectures?: RegExp
}

const llama = /^(llama|mllama)/
const gemma = /^gemma/

/** Longer prefixes first where one begins another. */
const families: readonly Family[] = [
  { id: 'qwen2.5-coder', plain: 'base', architectures: /^qwen2/ },
  { id: 'qwen2.5-math', plain: 'base', architectures: /^qwen2/ },
  { id: 'qwen2.5-vl', architectures: /^qwen2/ },
  { id: 'qwen2.5-omni', architectures: /^qwen2/ },
  { id: 'qwen2.5', plain: 'base', architectures: /^qwen2/ },
  { id: 'qwen2-vl', architectures: /^qwen2/ },
  { id: 'qwen2', plain: 'base', architectures: /^qwen2/ },
  { id: 'qwen1.5', plain: 'base', architectures: /^qwen2/ },
  { id: 'qwen3', architectures: /^qwen3/ },
  { id: 'qwq', architectures: /^qwen2/ },
  { id: 'llama-2', plain: 'base', architectures: llama },
  { id: 'llama-3.3', architectures: llama },
  { id: 'llama-3.2-vision', architectures: llama },
  { id: 'llama-3.2', plain: 'base', architectures: llama },
  { id: 'llama-3.1', plain: 'base', architectures: llama },
  { id: 'llama-3', plain: 'base', architectures: llama },
  { id: 'llama-4', architectures: /^llama4/ },
  { id: 'mistral-nemo', size: '12b', architectures: /^llama|^mistral/ },
  { id: 'mistral-large', size: '123b' },
  { id: 'mistral-small-3.2', size: '24b' },
  { id: 'mistral-small-3.1', size: '24b' },
  { id: 'mistral-small' },
  { id: 'mistral', plain: 'base', architectures: /^llama|^mistral/ },
  { id: 'mixtral', plain: 'base', architectures: /^llama|^mixtral/ },
  { id: 'codestral', size: '22b' },
  { id: 'gemma-3n', plain: 'instruct', gemmaWords: true, architectures: gemma },
  { id: 'gemma-3', plain: 'instruct', gemmaWords: true, architectures: gemma },
  { id: 'gemma-4', gemmaWords: true, architectures: gemma },
  { id: 'gemma-2', plain: 'base', gemmaWords: true, architectures: gemma },
  { id: 'gemma', plain: 'base', gemmaWords: true, architectures: gemma },
  { id: 'codegemma', plain: 'base', gemmaWords: true, architectures: gemma },
  { id: 'medgemma', gemmaWords: true, architectures: gemma },
  { id: 'phi-4-mini', size: '3.8b', architectures: /^phi/ },
  { id: 'phi-4-multimodal' },
  { id: 'phi-4', size: '14b', architectures: /^phi|^llama/ },
  { id: 'phi-3.5-mini', size: '3.8b', architectures: /^phi/ },
  { id: 'phi-3-mini', size: '3.8b', architectures: /^phi/ },
  { id: 'phi-3-medium', size: '14b', architectures: /^phi/ },
  { id: 'deepseek-r1-distill', architectures: /^qwen2|^llama/ },
  { id: 'deepseek-r1', size: '671b', architectures: /^deepseek|^qwen3/ },
  { id: 'deepseek-v3.1', size: '671b' },
  { id: 'deepseek-v3', size: '671b' },
  { id: 'smollm2', plain: 'base', architectures: llama },
  { id: 'smollm3' },
  { id: 'olmo-2', plain: 'base', architectures: /^olmo2/ },
  { id: 'yi-1.5', plain: 'base', architectures: llama },
  { id: 'yi', plain: 'base', architectures: llama },
  { id: 'internlm2.5', plain: 'base' },
  { id: 'stablelm-2', plain: 'base' },
  { id: 'gpt-oss', architectures: /^gpt[-_]?oss/ },
  { id: 'tinyllama', architectures: llama },
  { id: 'granite-3.3' },
  { id: 'codellama', plain: 'base', architectures: llama },
]

/** The family at the start of a normalised name, by whole words. */
export function familyOf(name: string): Family | null {
  return families.find(({ id }) => name === id || name.startsWith(`${id}-`)) ?? null
}
