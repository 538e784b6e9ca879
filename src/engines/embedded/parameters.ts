/**
 * Request parameters the embedded engine honours, by OpenAI's names (and llama-server's where OpenAI has none).
 * What is not listed is refused by name. `user` and its like identify the caller and ask nothing of an engine.
 */
const common = [
  'model',
  'stream',
  'stream_options',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'seed',
  'stop',
  'n',
  'frequency_penalty',
  'presence_penalty',
  'repeat_penalty',
  'logit_bias',
  'logprobs',
  'grammar',
  'user',
]

export const chatParameters: ReadonlySet<string> = new Set([
  ...common,
  'messages',
  'max_completion_tokens',
  'top_logprobs',
  'response_format',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'chat_template_kwargs',
  'metadata',
  'safety_identifier',
  'prompt_cache_key',
])

export const completionParameters: ReadonlySet<string> = new Set([...common, 'prompt', 'echo'])

export const embeddingParameters: ReadonlySet<string> = new Set(['model', 'input', 'encoding_format', 'user'])

export const embeddedParameters: ReadonlySet<string> = new Set([
  ...chatParameters,
  ...completionParameters,
  ...embeddingParameters,
])
