/**
 * Every request parameter Holon knows, per endpoint: its type and range, and the values that ask for nothing.
 * Written by hand rather than with zod because it runs for every request and must name the parameter at fault.
 */
import {
  arrayOf,
  boolean,
  type Check,
  eitherOf,
  filledText,
  integerBetween,
  isObject,
  logitBias,
  numberBetween,
  object,
  oneOf,
  refuse,
  stop,
  text,
} from './checks.ts'
import { functions, responseFormat, toolChoice, tools } from './messages.ts'

export interface ParameterRule {
  check: Check
  /**
   * `request`: read by the hub or by every engine. `label`: asks for no change of the answer.
   * `engine`: honoured only by engines that say so.
   */
  kind: 'request' | 'label' | 'engine'
  /** True for values that mean "as if it were absent"; null always does. */
  neutral?: (value: unknown) => boolean
}
export type ParameterTable = ReadonlyMap<string, ParameterRule>

const engine = (check: Check, neutral?: (value: unknown) => boolean): ParameterRule => ({
  check,
  kind: 'engine',
  neutral,
})
const request = (check: Check): ParameterRule => ({ check, kind: 'request' })
const label = (check: Check): ParameterRule => ({ check, kind: 'label' })

const is = (neutral: unknown) => (value: unknown) => value === neutral
const isEmptyArray = (value: unknown) => Array.isArray(value) && value.length === 0
const isEmptyObject = (value: unknown) => isObject(value) && Object.keys(value).length === 0
const maxInt = 2 ** 31 - 1
const anySeed = integerBetween(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)

const streamOptions: Check = (value, param) => {
  if (!isObject(value)) refuse(param, 'an object', value)
  for (const name of ['include_usage', 'include_obfuscation']) {
    if (value[name] != null) boolean(value[name], `${param}.${name}`)
  }
}

/** Shared by chat and plain completions. */
const sampling: [string, ParameterRule][] = [
  ['model', request(filledText)],
  ['stream', request(boolean)],
  ['stream_options', engine(streamOptions, (value) => isObject(value) && value.include_usage !== true)],
  ['user', label(text)],
  ['metadata', label(object)],
  ['temperature', engine(numberBetween(0, 2))],
  ['top_p', engine(numberBetween(0, 1))],
  ['frequency_penalty', engine(numberBetween(-2, 2), is(0))],
  ['presence_penalty', engine(numberBetween(-2, 2), is(0))],
  ['logit_bias', engine(logitBias, isEmptyObject)],
  ['n', engine(integerBetween(1, 128), is(1))],
  ['seed', engine(anySeed)],
  ['stop', engine(stop, isEmptyArray)],
]

/** What local engines take beyond OpenAI's surface. The engine's own set decides whether it is honoured. */
const extras: [string, ParameterRule][] = [
  ['top_k', engine(integerBetween(-1, maxInt))],
  ['min_p', engine(numberBetween(0, 1))],
  ['typical_p', engine(numberBetween(0, 1))],
  ['top_n_sigma', engine(numberBetween(-1, 100))],
  ['xtc_probability', engine(numberBetween(0, 1))],
  ['xtc_threshold', engine(numberBetween(0, 1))],
  ['dynatemp_range', engine(numberBetween(0, 10))],
  ['dynatemp_exponent', engine(numberBetween(0, 10))],
  ['repeat_penalty', engine(numberBetween(0, 100), is(1))],
  ['repetition_penalty', engine(numberBetween(0, 100), is(1))],
  ['repeat_last_n', engine(integerBetween(-1, maxInt))],
  ['dry_multiplier', engine(numberBetween(0, 100), is(0))],
  ['dry_base', engine(numberBetween(0, 100))],
  ['dry_allowed_length', engine(integerBetween(0, maxInt))],
  ['dry_penalty_last_n', engine(integerBetween(-1, maxInt))],
  ['dry_sequence_breakers', engine(arrayOf(text, 0, 64))],
  ['mirostat', engine(integerBetween(0, 2), is(0))],
  ['mirostat_tau', engine(numberBetween(0, 100))],
  ['mirostat_eta', engine(numberBetween(0, 10))],
  ['samplers', engine(eitherOf('a string or an array of strings', text, arrayOf(text, 0, 64)))],
  ['grammar', engine(text, is(''))],
  ['json_schema', engine(object)],
  ['n_predict', engine(integerBetween(0, maxInt))],
  ['n_probs', engine(integerBetween(0, 100), is(0))],
  ['n_keep', engine(integerBetween(-1, maxInt), is(0))],
  ['min_keep', engine(integerBetween(0, maxInt), is(0))],
  ['min_tokens', engine(integerBetween(0, maxInt), is(0))],
  ['stop_token_ids', engine(arrayOf(integerBetween(0, maxInt), 0, 256), isEmptyArray)],
  ['t_max_predict_ms', engine(integerBetween(0, maxInt), is(0))],
  ['ignore_eos', engine(boolean, is(false))],
  ['cache_prompt', engine(boolean)],
  ['id_slot', engine(integerBetween(-1, 255), is(-1))],
  ['lora', engine(arrayOf(object, 0, 64), isEmptyArray)],
  ['return_tokens', engine(boolean, is(false))],
  ['return_progress', engine(boolean, is(false))],
  ['timings_per_token', engine(boolean, is(false))],
  ['post_sampling_probs', engine(boolean, is(false))],
]

const chatExtras: [string, ParameterRule][] = [
  ['chat_template_kwargs', engine(object, isEmptyObject)],
  ['reasoning_format', engine(oneOf('none', 'auto', 'deepseek', 'deepseek-legacy'), is('auto'))],
  ['thinking_budget_tokens', engine(integerBetween(-1, maxInt))],
  ['add_generation_prompt', engine(boolean, is(true))],
  ['continue_final_message', engine(boolean, is(false))],
  ['parse_tool_calls', engine(boolean, is(true))],
]

export const chatParameters: ParameterTable = new Map([
  ...sampling,
  // The messages are checked by checkMessages, which also tells which media they hold.
  ['messages', request(() => undefined)],
  ['max_tokens', engine(integerBetween(1, maxInt))],
  ['max_completion_tokens', engine(integerBetween(1, maxInt))],
  ['logprobs', engine(boolean, is(false))],
  ['top_logprobs', engine(integerBetween(0, 20), is(0))],
  ['tools', engine(tools, isEmptyArray)],
  ['tool_choice', engine(toolChoice, (value) => value === 'auto' || value === 'none')],
  ['parallel_tool_calls', engine(boolean, is(true))],
  ['functions', engine(functions, isEmptyArray)],
  [
    'function_call',
    engine(
      eitherOf('"none", "auto" or {"name":…}', oneOf('none', 'auto'), object),
      (value) => value === 'auto' || value === 'none',
    ),
  ],
  ['response_format', engine(responseFormat, (value) => isObject(value) && value.type === 'text')],
  [
    'modalities',
    engine(
      arrayOf(oneOf('text', 'audio'), 1, 2),
      (value) => Array.isArray(value) && !value.includes('audio'),
    ),
  ],
  ['audio', engine(object)],
  ['prediction', engine(object)],
  ['reasoning_effort', engine(oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh'))],
  ['verbosity', engine(oneOf('low', 'medium', 'high'), is('medium'))],
  ['web_search_options', engine(object)],
  ['store', engine(boolean, is(false))],
  [
    'service_tier',
    engine(
      oneOf('auto', 'default', 'flex', 'scale', 'priority'),
      (value) => value === 'auto' || value === 'default',
    ),
  ],
  ['safety_identifier', label(text)],
  ['prompt_cache_key', label(text)],
  ['prompt_cache_retention', label(oneOf('in-memory', '24h'))],
  ...extras,
  ...chatExtras,
] as [string, ParameterRule][])

const tokenIds = arrayOf(integerBetween(0, maxInt), 1, 1_048_576)
const promptForms = 'a string, an array of strings, an array of token ids, or an array of such arrays'

/** One prompt or many, as text or as token ids. Chosen by type so that the common forms throw nothing on the way. */
function promptOf(item: Check): Check {
  const items = arrayOf(item, 1, 2048)
  const manyTokenIds = arrayOf(tokenIds, 1, 2048)
  return (value, param) => {
    if (typeof value === 'string') return item(value, param)
    if (!Array.isArray(value) || value.length === 0) refuse(param, promptForms, value)
    if (typeof value[0] === 'string') return items(value, param)
    if (typeof value[0] === 'number') return tokenIds(value, param)
    if (Array.isArray(value[0])) return manyTokenIds(value, param)
    refuse(`${param}[0]`, 'a string, a token id or an array of token ids', value[0])
  }
}

export const completionParameters: ParameterTable = new Map([
  ...sampling,
  ['prompt', request(promptOf(text))],
  ['max_tokens', engine(integerBetween(0, maxInt))],
  ['best_of', engine(integerBetween(1, 128), is(1))],
  ['echo', engine(boolean, is(false))],
  ['logprobs', engine(integerBetween(0, 20))],
  ['suffix', engine(text, is(''))],
  ['response_format', engine(responseFormat, (value) => isObject(value) && value.type === 'text')],
  ...extras,
] as [string, ParameterRule][])

export const embeddingParameters: ParameterTable = new Map([
  ['model', request(filledText)],
  ['input', request(promptOf(filledText))],
  ['encoding_format', engine(oneOf('float', 'base64'), is('float'))],
  ['dimensions', engine(integerBetween(1, 65_536))],
  ['user', label(text)],
])
