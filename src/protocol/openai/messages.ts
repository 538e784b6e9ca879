/** Shapes of chat messages: who speaks, and what the content may be for that role. */
import { HolonError } from '../../core/errors.ts'
import { type Check, filledText, isObject, refuse, text } from './checks.ts'

const roles = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function'])

/** Parts that only some engines can read; the name is what the engine's set of parameters must hold. */
const mediaParts = new Map<string, string>([
  ['image_url', 'image_url'],
  ['input_audio', 'input_audio'],
  ['file', 'file'],
])

/**
 * @param media filled with the kinds of media the messages hold ("image_url")
 * @throws HolonError invalid_parameter, missing_parameter
 */
export function checkMessages(messages: unknown, media: Set<string>): void {
  if (!Array.isArray(messages)) refuse('messages', 'an array of messages', messages)
  if (messages.length === 0) refuse('messages', 'an array of at least one message', messages)
  for (let index = 0; index < messages.length; index++) checkMessage(messages[index], index, media)
}

function checkMessage(message: unknown, index: number, media: Set<string>): void {
  if (!isObject(message)) refuse(`messages[${index}]`, 'an object with role and content', message)
  const role = message.role
  if (typeof role !== 'string' || !roles.has(role)) {
    refuse(`messages[${index}].role`, `one of ${[...roles].map((name) => `"${name}"`).join(', ')}`, role)
  }
  const content = message.content
  if (typeof content !== 'string') checkContent(message, content, role, index, media)
  if (role === 'tool') filledText(message.tool_call_id, `messages[${index}].tool_call_id`)
  if (message.name != null) text(message.name, `messages[${index}].name`)
  if (message.tool_calls != null) checkToolCalls(message.tool_calls, `messages[${index}].tool_calls`)
}

function checkContent(
  message: Record<string, unknown>,
  content: unknown,
  role: string,
  index: number,
  media: Set<string>,
): void {
  const param = `messages[${index}].content`
  if (content == null) {
    if (role === 'assistant' && (message.tool_calls != null || message.function_call != null)) return
    if (role === 'assistant' && (message.refusal != null || message.audio != null)) return
    refuse(param, 'a string or an array of content parts', content)
  }
  if (!Array.isArray(content)) refuse(param, 'a string or an array of content parts', content)
  if (content.length === 0) refuse(param, 'a string or an array of at least one content part', content)
  for (let part = 0; part < content.length; part++) {
    checkPart(content[part], `${param}[${part}]`, role, media)
  }
}

function checkPart(part: unknown, param: string, role: string, media: Set<string>): void {
  if (!isObject(part)) refuse(param, 'an object with a type', part)
  if (part.type === 'text') {
    text(part.text, `${param}.text`)
    return
  }
  if (part.type === 'refusal' && role === 'assistant') {
    text(part.refusal, `${param}.refusal`)
    return
  }
  const kind = typeof part.type === 'string' ? mediaParts.get(part.type) : undefined
  if (kind === undefined) {
    refuse(`${param}.type`, 'one of "text", "image_url", "input_audio", "file"', part.type)
  }
  const body = part[kind]
  if (!isObject(body)) refuse(`${param}.${kind}`, 'an object', body)
  if (kind === 'image_url') filledText(body.url, `${param}.image_url.url`)
  if (kind === 'input_audio') filledText(body.data, `${param}.input_audio.data`)
  media.add(kind)
}

function checkToolCalls(calls: unknown, param: string): void {
  if (!Array.isArray(calls)) refuse(param, 'an array of tool calls', calls)
  for (let index = 0; index < calls.length; index++) {
    const call: unknown = calls[index]
    const at = `${param}[${index}]`
    if (!isObject(call)) refuse(at, 'an object with id, type and function', call)
    text(call.id, `${at}.id`)
    if (!isObject(call.function)) refuse(`${at}.function`, 'an object with name and arguments', call.function)
    filledText(call.function.name, `${at}.function.name`)
    text(call.function.arguments, `${at}.function.arguments`)
  }
}

const toolName = /^[a-zA-Z0-9_-]{1,64}$/

export const tools: Check = (value, param) => {
  if (!Array.isArray(value)) refuse(param, 'an array of tools', value)
  if (value.length > 1024) refuse(param, 'an array of at most 1024 tools', value)
  for (let index = 0; index < value.length; index++) {
    const tool: unknown = value[index]
    const at = `${param}[${index}]`
    if (!isObject(tool)) refuse(at, 'an object with type and function', tool)
    if (tool.type !== 'function') {
      throw new HolonError(
        'unsupported_parameter',
        `${at}.type must be "function": no other kind runs here.`,
        {
          param: `${at}.type`,
        },
      )
    }
    checkFunction(tool.function, `${at}.function`)
  }
}

export const functions: Check = (value, param) => {
  if (!Array.isArray(value)) refuse(param, 'an array of functions', value)
  for (let index = 0; index < value.length; index++) checkFunction(value[index], `${param}[${index}]`)
}

function checkFunction(value: unknown, param: string): void {
  if (!isObject(value)) refuse(param, 'an object with a name', value)
  if (typeof value.name !== 'string' || !toolName.test(value.name)) {
    refuse(`${param}.name`, 'a name of 1 to 64 letters, digits, _ or -', value.name)
  }
  if (value.description != null) text(value.description, `${param}.description`)
  if (value.parameters != null && !isObject(value.parameters)) {
    refuse(`${param}.parameters`, 'a JSON schema object', value.parameters)
  }
}

export const toolChoice: Check = (value, param) => {
  if (value === 'none' || value === 'auto' || value === 'required') return
  if (!isObject(value) || value.type !== 'function' || !isObject(value.function)) {
    refuse(param, '"none", "auto", "required" or {"type":"function","function":{"name":…}}', value)
  }
  filledText(value.function.name, `${param}.function.name`)
}

export const responseFormat: Check = (value, param) => {
  if (!isObject(value)) refuse(param, 'an object with a type', value)
  if (value.type === 'text') return
  if (value.type === 'json_object') {
    if (value.schema != null && !isObject(value.schema)) refuse(`${param}.schema`, 'an object', value.schema)
    return
  }
  if (value.type !== 'json_schema') {
    refuse(`${param}.type`, 'one of "text", "json_object", "json_schema"', value.type)
  }
  const schema = value.json_schema
  if (!isObject(schema)) refuse(`${param}.json_schema`, 'an object with name and schema', schema)
  if (schema.name != null && (typeof schema.name !== 'string' || !toolName.test(schema.name))) {
    refuse(`${param}.json_schema.name`, 'a name of 1 to 64 letters, digits, _ or -', schema.name)
  }
  if (!isObject(schema.schema)) refuse(`${param}.json_schema.schema`, 'a JSON schema object', schema.schema)
}
