/** The one proof that a model can answer: one token of it. An open port, a health page and a list prove nothing. */
import { HolonError } from '../../core/errors.ts'
import type { AttachedModel } from '../attached-engine.ts'
import { toldBy } from './ask-engine.ts'
import type { Door } from './door.ts'

/** Some servers read the weights on the first request, so this is as long as a load may take. */
const longestMs = 10 * 60_000

/**
 * Asks through the door, so that what is proven is the way that requests will take.
 * @throws HolonError engine_failed, or the signal's reason
 */
export async function proveModel(door: Door, model: AttachedModel, signal: AbortSignal): Promise<void> {
  const chat = {
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 },
    good: 'choices',
  }
  const completion = { path: '/v1/completions', body: { prompt: 'Hi', max_tokens: 1 }, good: 'choices' }
  const embedding = { path: '/v1/embeddings', body: { input: 'Hi' }, good: 'data' }
  let told = 'nothing'
  // Base models know no chat; some servers have no plain completions.
  for (const { path, body, good } of model.embedding ? [embedding] : [chat, completion]) {
    const response = await fetch(door.origin + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...door.headersFor(model.name, model.name) },
      body: JSON.stringify({ model: model.name, ...body }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(longestMs)]),
    })
    const text = await response.text()
    const answer = jsonOf(text) as Record<string, unknown> | null
    if (response.status === 200 && Array.isArray(answer?.[good]) && answer[good].length > 0) return
    told = toldBy(answer) ?? `status ${response.status}`
    if (response.status >= 500 || response.status === 401) break
  }
  throw new HolonError('engine_failed', `${model.name} cannot answer: ${told}`, { source: 'engine' })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
