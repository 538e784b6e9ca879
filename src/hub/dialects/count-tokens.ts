/**
 * How many tokens a chat request has for the model it names: the engine itself lays it out with the model's template and
 * counts, as it would to answer. llama-server and the embedded engine can; others are said not to.
 */
import { HolonError } from '../../core/errors.ts'
import { isObject } from '../../protocol/openai/checks.ts'
import { checkTranslated, type Translated } from '../../protocol/translation.ts'
import type { AnswerDeps } from '../gateway/answer.ts'
import type { Exchange } from '../gateway/exchange.ts'
import { withEngine } from './engine-call.ts'

/** @throws HolonError not_supported, model_not_found, engine_failed and what loading a model throws */
export async function countTokens(
  core: AnswerDeps,
  exchange: Exchange,
  translated: Translated,
): Promise<number> {
  const { request } = checkTranslated(translated)
  const { messages, tools, tool_choice, chat_template_kwargs } = { ...translated.wishes, ...translated.body }
  return await withEngine(core, exchange, request.model, async (ask) => {
    const laidOut = await ask('/apply-template', { messages, tools, tool_choice, chat_template_kwargs })
    if (!isObject(laidOut) || typeof laidOut.prompt !== 'string') throw unexpected('/apply-template')
    const counted = await ask('/tokenize', {
      content: laidOut.prompt,
      add_special: true,
      parse_special: true,
    })
    if (!isObject(counted) || !Array.isArray(counted.tokens)) throw unexpected('/tokenize')
    return counted.tokens.length
  })
}

function unexpected(path: string): HolonError {
  return new HolonError('engine_failed', `The engine's answer of ${path} cannot be read.`, {
    source: 'engine',
  })
}
