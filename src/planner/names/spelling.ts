/**
 * One spelling for what people write in many: `Meta_Llama 3.1`, `llama3.1` and `Llama-3.1` are one family. Only
 * spelling is touched here, never meaning, so that a rule that is missing leaves two names apart and joins none.
 */
const rules: readonly [RegExp, string][] = [
  [/^meta-(?=llama|codellama)/, ''],
  [/(^|-)llama-?([1-4](?:\.\d)?)(?=-|$)/g, '$1llama-$2'],
  [/(^|-)code-llama(?=-|$)/g, '$1codellama'],
  [/(^|-)tiny-llama(?=-|$)/g, '$1tinyllama'],
  [/(^|-)qwen-?([1-9](?:\.\d+)*)(?=-|$|vl)/g, '$1qwen$2'],
  [/(^|-)(qwen[\d.]+)vl(?=-|$)/g, '$1$2-vl'],
  [/(^|-)gemma-?([1-9]n?)(?=-|$)/g, '$1gemma-$2'],
  [/(^|-)code-gemma(?=-|$)/g, '$1codegemma'],
  [/(^|-)phi-?([1-9](?:\.\d)?)(?=-|$)/g, '$1phi-$2'],
  [/(^|-)deepseek-?(r1|v[2-9](?:\.\d)?)(?=-|$)/g, '$1deepseek-$2'],
  [/(^|-)granite-?([1-9](?:\.\d)?)(?:-dense)?(?=-|$)/g, '$1granite-$2'],
  [/(^|-)glm-?([45](?:\.\d)?v?)(?=-|$)/g, '$1glm-$2'],
  [/(^|-)olmo-?([23])(?=-|$)/g, '$1olmo-$2'],
  [/(^|-)smol-?lm-?([23])(?=-|$)/g, '$1smollm$2'],
  [/(^|-)falcon-?3(?=-|$)/g, '$1falcon3'],
  [/(^|-)exaone-?(\d\.\d)(?=-|$)/g, '$1exaone-$2'],
  [/(^|-)internlm-?2-5(?=-|$)/g, '$1internlm2.5'],
  [/(^|-)internlm-?([23](?:\.\d)?)(?=-|$)/g, '$1internlm$2'],
  [/(^|-)hermes-?([2-4])(?=-|$)/g, '$1hermes-$2'],
  [/(^|-)mistral-small-?(3\.\d)(?=-|$)/g, '$1mistral-small-$2'],
  [/(^|-)stablelm-?2(?=-|$)/g, '$1stablelm-2'],
  [/(^|-)starcoder-?2(?=-|$)/g, '$1starcoder2'],
  [/(^|-)dolphin-?3(?:\.0)?(?=-|$)/g, '$1dolphin3.0'],
  [/(^|-)gpt-?oss(?=-|$)/g, '$1gpt-oss'],
  [/(^|-)kimi-?(k\d(?:\.\d)?)(?=-|$)/g, '$1kimi-$2'],
  [/(^|-)minimax-?(m\d(?:\.\d)?)(?=-|$)/g, '$1minimax-$2'],
]

/** Words that say how a file was packed, by which tool, for which one; never what the model is. */
const packing = new Set([
  'gguf', 'ggml', 'mlx', 'safetensors', 'hf', 'i1', 'imat', 'imatrix', 'imx', 'unsloth', 'ud', 'quantized', 'quants', 'quant',
  'onnx', 'openvino', 'ov', 'coreml', 'mlc', 'transformers', 'pytorch', 'sym', 'asym', 'bpw', 'lmstudio',
]) // biome-ignore format: a list of words

const number = (text: string): string => String(Number(text))
const sizeWord = /^(\d+x)?(\d+(?:\.\d+)?)([bm])$/
const activeWord = /^a(\d+(?:\.\d+)?)b$/
const effectiveWord = /^e\d+b$/

export const isSize = (word: string): boolean => sizeWord.test(word) || effectiveWord.test(word)
export const isActive = (word: string): boolean => activeWord.test(word)

/** "7.0b" is "7b". */
function spellSize(word: string): string {
  const size = sizeWord.exec(word)
  if (size) return `${size[1] ?? ''}${number(size[2]!)}${size[3]}`
  const active = activeWord.exec(word)
  return active ? `a${number(active[1]!)}b` : word
}

/** The words of a name in one spelling, packing left out. Idempotent over its own words joined by `-`. */
export function wordsOf(stem: string): string[] {
  let text = stem
    .toLowerCase()
    .replace(/[^a-z0-9.+]+/g, '-')
    // A point separates words unless it stands in a number.
    .replace(/(?<!\d)\.+|\.+(?!\d)/g, '-')
    .replace(/-+/g, '-')
    .replace(/^-|-$/g, '')
  // Packing first: it may stand between the words of a family.
  text = text
    .split('-')
    .filter((word) => word !== '' && !packing.has(word))
    .join('-')
  for (const [pattern, spelling] of rules) text = text.replace(pattern, spelling)
  return text
    .split('-')
    .filter((word) => word !== '')
    .map(spellSize)
}
