/**
 * Whose names can be trusted to mean what they say. A packager's repository holds somebody else's weights under
 * that somebody's name; a maker's holds its own. Anybody else may have put other weights under a known name, so
 * an owner who is in neither list stays part of the model's identity.
 */

/** Convert and quantise; their name says nothing of the weights. */
export const packagers: ReadonlySet<string> = new Set([
  'bartowski', 'lmstudio-community', 'mlx-community', 'unsloth', 'thebloke', 'mradermacher', 'ggml-org', 'quantfactory',
  'maziyarpanahi', 'mungert', 'second-state', 'gaianet', 'redhatai', 'neuralmagic', 'hugging-quants', 'casperhansen',
  'techxgenus', 'solidrust', 'tensorblock', 'turboderp', 'lonestriker', 'ggml-models', 'featherless-ai-quants', 'ubergarm',
  'dranger003', 'legraphista', 'richarderkhov', 'cpatonn', 'quanttrio', 'gguf-org', 'intel', 'openvino', 'onnx-community',
  'mlc-ai', 'isotr0py', 'stelterlab', 'pytorch', 'amd', 'bullerwins', 'nexaaidev', 'lmstudio-ai', 'prithivmlmods-gguf',
]) // biome-ignore format: a list of words

/** Publish weights of their own under names of their own. */
export const makers: ReadonlySet<string> = new Set([
  'qwen', 'meta-llama', 'meta', 'facebook', 'mistralai', 'mistral', 'google', 'microsoft', 'deepseek-ai', 'deepseek', 'openai',
  'ibm-granite', 'ibm', 'zai-org', 'thudm', 'huggingfacetb', 'allenai', 'coherelabs', 'cohereforai', 'lgai-exaone', 'tiiuae',
  'moonshotai', 'minimaxai', 'baidu', 'tencent', 'ai21labs', 'arcee-ai', 'nvidia', '01-ai', 'internlm', 'bigcode', 'stabilityai',
  'tinyllama', 'swiss-ai', 'speakleash', 'servicenow-ai', 'liquidai', 'xiaomimimo', 'stepfun-ai', 'upstage', 'openchat',
  'huggingfaceh4', 'nomic-ai', 'baai', 'mixedbread-ai', 'snowflake', 'sentence-transformers', 'jinaai', 'intfloat',
  'nousresearch', 'cognitivecomputations', 'dphn', 'teknium', 'thedrummer', 'sao10k', 'open-orca', 'migtissera', 'lmsys', 'wizardlmteam',
  'gradientai', 'deepcogito', 'agentica-org', 'open-thoughts', 'codellama', 'openbmb', 'llava-hf', 'vikhyatk', 'kwaipilot',
  'bytedance-seed', 'rednote-hilab', 'inclusionai', 'jetbrains', 'essentialai', 'utter-project', 'sarvamai', 'all-hands', 'xai-org',
  'mosaicml', 'eleutherai', 'bigscience', 'openai-community', 'databricks', 'togethercomputer', 'berkeley-nest', 'nexusflow',
]) // biome-ignore format: a list of words

/** Words by which many people name different weights: who made them belongs to the name. */
const commonNames =
  /(?:^|-)(abliterated|uncensored|decensored|lorablated|heretic|merged?|finetuned?|sft|dpo|lora|unaligned)(?=-|$)/

/** The owner when it belongs to the identity of `rest`, else null. Both in lower case. */
export function identifyingOwner(owner: string | null, rest: string): string | null {
  if (owner === null) return null
  if (makers.has(owner) && !commonNames.test(rest)) return null
  if (packagers.has(owner) && !commonNames.test(rest)) return null
  return owner
}

/** bartowski writes `google_gemma-3-12b-it-GGUF`: the owner before the underscore, when it is one we know. */
export function splitOwnerPrefix(stem: string): { owner: string | null; stem: string } {
  const match = /^([A-Za-z0-9-]+)_(?=[A-Za-z])(.+)$/.exec(stem)
  const owner = match?.[1]?.toLowerCase()
  if (!match || owner === undefined || !(makers.has(owner) || packagers.has(owner)))
    return { owner: null, stem }
  return { owner, stem: match[2]! }
}
