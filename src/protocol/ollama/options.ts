/** Ollama's `options` as parameters of an OpenAI request. */
import { type Fields, given, objectAt, put, refuseListed, refuseUnknown } from '../fields.ts'
import { boolean, type Check, integerBetween, numberBetween, stop } from '../openai/checks.ts'

const maxInt = 2 ** 31 - 1
const anyInteger = integerBetween(-(2 ** 31), maxInt)

/** Taken over under another name or the same. */
const sampling: [string, string, Check][] = [
  ['temperature', 'temperature', numberBetween(0, 2)],
  ['top_p', 'top_p', numberBetween(0, 1)],
  ['top_k', 'top_k', integerBetween(0, maxInt)],
  ['min_p', 'min_p', numberBetween(0, 1)],
  ['typical_p', 'typical_p', numberBetween(0, 1)],
  ['repeat_penalty', 'repeat_penalty', numberBetween(0, 100)],
  ['repeat_last_n', 'repeat_last_n', integerBetween(-1, maxInt)],
  ['presence_penalty', 'presence_penalty', numberBetween(-2, 2)],
  ['frequency_penalty', 'frequency_penalty', numberBetween(-2, 2)],
  ['mirostat', 'mirostat', integerBetween(0, 2)],
  ['mirostat_tau', 'mirostat_tau', numberBetween(0, 100)],
  ['mirostat_eta', 'mirostat_eta', numberBetween(0, 10)],
  ['stop', 'stop', stop],
]

/** How a model is put on the hardware, which Holon decides. They change no answer, so they are taken and left. */
const placement = new Map<string, Check>([
  ...['num_gpu', 'main_gpu', 'num_thread', 'num_batch', 'num_gqa'].map((name) => [name, anyInteger] as const),
  ...['numa', 'low_vram', 'f16_kv', 'use_mmap', 'use_mlock', 'vocab_only'].map(
    (name) => [name, boolean] as const,
  ),
])

const cannot = new Map([
  ['tfs_z', 'no engine here samples tail-free'],
  ['num_keep', 'a prompt is never cut, so there is nothing to keep'],
])
/** What says nothing: Ollama's own defaults, which clients send along. */
const neutral: [string, unknown][] = [
  ['tfs_z', 1],
  ['num_keep', 0],
  ['num_keep', 4],
  ['num_keep', -1],
]

const known = new Set([
  ...sampling.map(([name]) => name),
  ...placement.keys(),
  ...cannot.keys(),
  ...['num_predict', 'seed', 'num_ctx', 'penalize_newline'],
])

export interface Options {
  /** To put into the OpenAI request. */
  parameters: Fields
  /** The context the model should be loaded with at least, in tokens. */
  contextTokens: number | undefined
}

/** @throws HolonError invalid_parameter, unsupported_parameter, naming `options.<name>` */
export function readOptions(value: unknown): Options {
  const parameters: Fields = {}
  if (value == null) return { parameters, contextTokens: undefined }
  const options = { ...objectAt(value, 'options') }
  const at = 'options.'
  refuseUnknown(options, known, at)
  for (const [name, says] of neutral) if (options[name] === says) delete options[name]
  refuseListed(options, cannot, at)
  for (const [name, check] of placement) given(options, name, check, at)
  given(options, 'penalize_newline', boolean, at)
  for (const [name, theirs, check] of sampling) put(parameters, { [theirs]: given(options, name, check, at) })
  const seed = given<number>(options, 'seed', anyInteger, at)
  // -1 asks for another answer each time, which is what no seed does.
  if (seed !== undefined && seed >= 0) parameters.seed = seed
  const most = given<number>(options, 'num_predict', integerBetween(-2, maxInt), at)
  if (most !== undefined && most > 0) parameters.max_tokens = most
  return { parameters, contextTokens: given<number>(options, 'num_ctx', integerBetween(1, maxInt), at) }
}

/** OpenAI's names to Ollama's, for errors. */
export const optionNames: [string, string][] = [
  ...sampling.map(([name, theirs]) => [theirs, `options.${name}`] as [string, string]),
  ['max_tokens', 'options.num_predict'],
  ['seed', 'options.seed'],
]
