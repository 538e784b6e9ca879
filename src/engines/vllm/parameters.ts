import { openAiParameters } from '../openai/parameters.ts'

/** OpenAI's, less `best_of` (gone since 0.8) and `suffix` and `store`, with what vLLM adds. */
export const vllmParameters: ReadonlySet<string> = new Set([
  ...[...openAiParameters].filter((name) => !['best_of', 'suffix', 'store'].includes(name)),
  'top_k',
  'min_p',
  'repeat_penalty',
  'ignore_eos',
  'chat_template_kwargs',
])
