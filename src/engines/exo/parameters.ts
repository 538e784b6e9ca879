/**
 * What exo honours. `response_format`, `tool_choice`, `parallel_tool_calls`, `n` and `logit_bias` it takes and drops in
 * silence; embeddings and plain completions it does not have.
 */
export const exoParameters: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'stream',
  // Its last event always tells the usage.
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'seed',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'repeat_penalty',
  'repeat_last_n',
  'frequency_penalty',
  'presence_penalty',
  'logprobs',
  'top_logprobs',
  'tools',
  'reasoning_effort',
  'user',
  'metadata',
  'safety_identifier',
  'prompt_cache_key',
])
