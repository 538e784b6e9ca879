import type { TemplateMessage } from '../chat-template.ts'
import { type Body, isObject } from '../fields.ts'
import type { Tool } from './read-tools.ts'

/**
 * For models whose template knows nothing of tools: the tools go into the system message, earlier calls and their
 * results into plain messages, in the style most models have seen.
 */
export function describeTools(
  messages: readonly TemplateMessage[],
  tools: readonly Tool[],
): TemplateMessage[] {
  const plain = messages.map(withoutTools)
  if (tools.length === 0) return plain
  const instructions = [
    'You may call functions to help with the request. These functions are there:',
    '<tools>',
    ...tools.map((tool) => JSON.stringify(tool.original)),
    '</tools>',
    'To call one, answer with its name and arguments as JSON, like this:',
    '<tool_call>',
    '{"name": "function_name", "arguments": {"key": "value"}}',
    '</tool_call>',
  ].join('\n')
  const [first, ...rest] = plain
  if (first?.role === 'system') return [{ ...first, content: `${first.content}\n\n${instructions}` }, ...rest]
  return [{ role: 'system', content: instructions }, ...plain]
}

function withoutTools(message: TemplateMessage): TemplateMessage {
  if (message.role === 'tool' || message.role === 'function') {
    return { role: 'user', content: `<tool_response>\n${message.content}\n</tool_response>` }
  }
  const calls = message.tool_calls
  if (!Array.isArray(calls)) return message
  const texts = calls.map((call: Body) => {
    const fn = isObject(call.function) ? call.function : {}
    return `<tool_call>\n${JSON.stringify({ name: fn.name, arguments: fn.arguments })}\n</tool_call>`
  })
  const content = [message.content, ...texts].filter(Boolean).join('\n')
  return { role: message.role, content }
}
