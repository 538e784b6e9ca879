/** An OpenAI chat request as one for /api/chat. Pure. */
import { HolonError } from '../../core/errors.ts'
import { field, record, rows, text } from '../attached/read-json.ts'

/** OpenAI's name, and Ollama's among its options. */
const options: readonly [string, string][] = [
  ['temperature', 'temperature'],
  ['top_p', 'top_p'],
  ['top_k', 'top_k'],
  ['min_p', 'min_p'],
  ['typical_p', 'typical_p'],
  ['seed', 'seed'],
  ['frequency_penalty', 'frequency_penalty'],
  ['presence_penalty', 'presence_penalty'],
  ['repeat_penalty', 'repeat_penalty'],
  ['repeat_last_n', 'repeat_last_n'],
  ['max_tokens', 'num_predict'],
  ['max_completion_tokens', 'num_predict'],
]

/** @throws HolonError invalid_parameter for a picture that Ollama would have to fetch */
export function ollamaQuestion(body: Record<string, unknown>): Record<string, unknown> {
  const chosen: Record<string, unknown> = {}
  for (const [name, its] of options) if (body[name] != null) chosen[its] = body[name]
  if (body.stop != null) chosen.stop = Array.isArray(body.stop) ? body.stop : [body.stop]
  const format = formatOf(record(body.response_format))
  const effort = text(body.reasoning_effort)
  return {
    model: body.model,
    messages: messagesOf(body.messages),
    stream: body.stream === true,
    ...(Object.keys(chosen).length === 0 ? {} : { options: chosen }),
    ...(format === null ? {} : { format }),
    ...(effort === null ? {} : { think: effort === 'none' ? false : effort }),
    ...(Array.isArray(body.tools) && body.tools.length > 0 ? { tools: body.tools } : {}),
  }
}

function formatOf(asked: Record<string, unknown>): unknown {
  if (asked.type === 'json_object') return 'json'
  if (asked.type === 'json_schema') return field(asked, 'json_schema', 'schema') ?? 'json'
  return null
}

function messagesOf(messages: unknown): Record<string, unknown>[] {
  const toolNames = new Map<string, string>()
  return rows(messages).map((message) => {
    const { words, images } = contentOf(message.content)
    const calls = rows(message.tool_calls).map((call) => {
      const name = text(field(call, 'function', 'name')) ?? ''
      toolNames.set(text(call.id) ?? '', name)
      return { function: { name, arguments: argumentsOf(field(call, 'function', 'arguments')) } }
    })
    const answered = text(message.tool_call_id)
    return {
      role: message.role === 'developer' ? 'system' : message.role,
      content: words,
      ...(text(message.reasoning_content) === null ? {} : { thinking: message.reasoning_content }),
      ...(images.length === 0 ? {} : { images }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
      ...(answered === null ? {} : { tool_name: toolNames.get(answered) ?? answered }),
    }
  })
}

function contentOf(content: unknown): { words: string; images: string[] } {
  if (typeof content === 'string') return { words: content, images: [] }
  const words: string[] = []
  const images: string[] = []
  for (const part of rows(content)) {
    if (part.type === 'image_url') images.push(pictureOf(field(part, 'image_url', 'url')))
    else words.push(text(part.text) ?? '')
  }
  return { words: words.join('\n'), images }
}

/** Ollama takes the bytes alone, and nobody here fetches addresses for a caller. */
function pictureOf(url: unknown): string {
  const bytes = /^data:[^,]*;base64,(.+)$/s.exec(typeof url === 'string' ? url : '')?.[1]
  if (bytes !== undefined) return bytes
  throw new HolonError('invalid_parameter', 'Ollama reads pictures as data: URLs in base64 only.', {
    param: 'messages',
    hint: 'Send the picture itself: data:image/png;base64,…',
  })
}

function argumentsOf(words: unknown): unknown {
  try {
    return typeof words === 'string' ? record(JSON.parse(words)) : record(words)
  } catch {
    return {}
  }
}
