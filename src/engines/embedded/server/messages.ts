import type { TemplateMessage } from './chat-template.ts'
import { type Body, badParameter, isObject } from './fields.ts'

const roles = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function'])
const maxMessages = 10_000

/** OpenAI's messages as chat templates want them. Refuses what a text model cannot take, naming the place. */
export function readMessages(body: Body): TemplateMessage[] {
  const { messages } = body
  if (messages === undefined) throw badParameter('messages', 'messages is missing.')
  if (!Array.isArray(messages) || messages.length === 0) {
    throw badParameter('messages', 'messages must be an array with at least one message.')
  }
  if (messages.length > maxMessages) {
    throw badParameter('messages', `messages may hold at most ${maxMessages} messages.`)
  }
  return messages.map((message, index) => readMessage(message, `messages[${index}]`))
}

function readMessage(message: unknown, at: string): TemplateMessage {
  if (!isObject(message)) throw badParameter('messages', `${at} must be an object.`)
  const { role } = message
  if (typeof role !== 'string' || !roles.has(role)) {
    throw badParameter('messages', `${at}.role must be one of ${[...roles].join(', ')}.`)
  }
  const content = readContent(message.content, at)
  const calls = readToolCalls(message.tool_calls, at)
  if (content === null && calls === null) {
    if (role !== 'assistant') throw badParameter('messages', `${at}.content is missing.`)
  }
  const read: TemplateMessage = { role: role === 'developer' ? 'system' : role, content: content ?? '' }
  if (calls) read.tool_calls = calls
  for (const key of ['name', 'tool_call_id', 'reasoning_content']) {
    if (typeof message[key] === 'string') read[key] = message[key]
  }
  return read
}

function readContent(content: unknown, at: string): string | null {
  if (content === undefined || content === null) return null
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) {
    throw badParameter('messages', `${at}.content must be a string or an array of parts.`)
  }
  return content
    .map((part: unknown, index) => {
      if (isObject(part) && part.type === 'text' && typeof part.text === 'string') return part.text
      const kind = isObject(part) ? String(part.type) : typeof part
      throw badParameter('messages', `${at}.content[${index}] is "${kind}", but this model reads text only.`)
    })
    .join('\n')
}

/** Arguments travel as JSON text; templates print them with `tojson`, so they must be objects there. */
function readToolCalls(calls: unknown, at: string): Body[] | null {
  if (calls === undefined || calls === null) return null
  if (!Array.isArray(calls)) throw badParameter('messages', `${at}.tool_calls must be an array.`)
  if (calls.length === 0) return null
  return calls.map((call: unknown, index) => {
    const fn = isObject(call) ? call.function : undefined
    if (!isObject(call) || !isObject(fn) || typeof fn.name !== 'string') {
      throw badParameter('messages', `${at}.tool_calls[${index}] must have a function with a name.`)
    }
    return { ...call, type: 'function', function: { ...fn, arguments: parsedArguments(fn.arguments) } }
  })
}

function parsedArguments(text: unknown): unknown {
  if (typeof text !== 'string') return text ?? {}
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
