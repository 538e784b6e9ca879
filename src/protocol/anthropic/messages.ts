/**
 * Anthropic's messages as OpenAI's. A user turn may hold results of tools beside text, which are messages of their own
 * in OpenAI's form; turns of one speaker in a row are one turn, as Anthropic documents.
 */
import { HolonError } from '../../core/errors.ts'
import {
  arrayAt,
  type Fields,
  functionName,
  given,
  imagePart,
  imageUrlPart,
  objectAt,
  required,
  unsupported,
} from '../fields.ts'
import { boolean, filledText, isObject, object, oneOf, refuse, text } from '../openai/checks.ts'

type Message = Fields & { role: string }

export function readSystem(system: unknown): Message[] {
  if (system == null || system === '') return []
  if (typeof system === 'string') return [{ role: 'system', content: system }]
  const blocks = arrayAt(system, 'system', 'a string or an array of text blocks')
  const texts = blocks.map((block, index) => {
    const at = `system[${index}]`
    const fields = objectAt(block, at, 'a text block')
    if (fields.type !== 'text') refuse(`${at}.type`, '"text"', fields.type)
    return required<string>(fields, 'text', text, `${at}.`)
  })
  return texts.length === 0 ? [] : [{ role: 'system', content: texts.join('\n') }]
}

export function readMessages(value: unknown): Message[] {
  if (value == null) {
    throw new HolonError('missing_parameter', 'The parameter "messages" is missing.', { param: 'messages' })
  }
  const list = arrayAt(value, 'messages', 'an array of messages')
  if (list.length === 0) refuse('messages', 'an array of at least one message', list)
  const read: Message[] = []
  for (const [index, entry] of list.entries()) {
    const at = `messages[${index}]`
    const message = objectAt(entry, at, 'an object with role and content')
    oneOf('user', 'assistant', 'system')(message.role, `${at}.role`)
    const blocks = blocksOf(message.content, `${at}.content`)
    if (message.role === 'assistant') add(read, assistantTurn(blocks, `${at}.content`))
    else for (const part of userTurn(blocks, `${at}.content`, message.role as string)) add(read, part)
  }
  return read
}

function blocksOf(content: unknown, at: string): unknown[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  const blocks = arrayAt(content, at, 'a string or an array of content blocks')
  if (blocks.length === 0) refuse(at, 'a string or an array of at least one content block', blocks)
  return blocks
}

/** Joins plain texts of the same speaker; anything else stays a message of its own. */
function add(messages: Message[], next: Message): void {
  const last = messages.at(-1)
  const plain = (message: Message) => typeof message.content === 'string' && message.tool_calls === undefined
  if (last && last.role === next.role && last.role !== 'tool' && plain(last) && plain(next)) {
    last.content = `${last.content}\n${next.content}`
    if (next.reasoning_content !== undefined) last.reasoning_content = next.reasoning_content
  } else messages.push(next)
}

function assistantTurn(blocks: unknown[], at: string): Message {
  const texts: string[] = []
  const thoughts: string[] = []
  const calls: object[] = []
  for (const [index, entry] of blocks.entries()) {
    const place = `${at}[${index}].`
    const block = objectAt(entry, `${at}[${index}]`, 'an object with a type')
    if (block.type === 'text') texts.push(required<string>(block, 'text', text, place))
    else if (block.type === 'thinking') thoughts.push(required<string>(block, 'thinking', text, place))
    else if (block.type === 'redacted_thinking') continue
    else if (block.type === 'tool_use') calls.push(toolUse(block, place))
    else throw unknownBlock(block, place, 'text, thinking and tool_use')
  }
  const message: Message = {
    role: 'assistant',
    content: texts.length === 0 && calls.length > 0 ? null : texts.join(''),
  }
  if (thoughts.length > 0) message.reasoning_content = thoughts.join('\n')
  if (calls.length > 0) message.tool_calls = calls
  return message
}

function toolUse(block: Fields, at: string): object {
  const name = required<string>(block, 'name', functionName, at)
  const input = required<Fields>(block, 'input', object, at)
  return {
    id: required<string>(block, 'id', filledText, at),
    type: 'function',
    function: { name, arguments: JSON.stringify(input) },
  }
}

function userTurn(blocks: unknown[], at: string, role: string): Message[] {
  const messages: Message[] = []
  let parts: object[] = []
  const flush = () => {
    if (parts.length > 0) messages.push({ role, content: plainIfText(parts) })
    parts = []
  }
  for (const [index, entry] of blocks.entries()) {
    const block = objectAt(entry, `${at}[${index}]`, 'an object with a type')
    const place = `${at}[${index}].`
    if (role === 'user' && block.type === 'tool_result') {
      flush()
      messages.push(toolResult(block, place))
    } else parts.push(...inputParts(block, place))
  }
  flush()
  return messages
}

/** Text alone travels as a string, which every chat template understands. */
function plainIfText(parts: object[]): string | object[] {
  const texts = parts.map((part) => (part as { text?: unknown }).text)
  return texts.every((each): each is string => typeof each === 'string') ? texts.join('\n') : parts
}

function inputParts(block: Fields, at: string): object[] {
  if (block.type === 'text') return [{ type: 'text', text: required<string>(block, 'text', text, at) }]
  if (block.type === 'image') return [image(block.source, `${at}source`)]
  if (block.type === 'document') return documentParts(block, at)
  throw unknownBlock(block, at, 'text, image, document and tool_result')
}

function image(value: unknown, at: string): object {
  const source = objectAt(value, at, 'an object with a type')
  if (source.type === 'url') return imageUrlPart(required(source, 'url', filledText, `${at}.`))
  if (source.type !== 'base64') refuse(`${at}.type`, '"base64" or "url"', source.type)
  const mediaType = required<string>(source, 'media_type', filledText, `${at}.`)
  return imagePart(mediaType, required(source, 'data', filledText, `${at}.`))
}

/** A document of plain text is text with a title; other kinds would need a reader that is not here. */
function documentParts(block: Fields, at: string): object[] {
  const source = objectAt(block.source, `${at}source`, 'an object with a type')
  const title = given<string>(block, 'title', text, at)
  const context = given<string>(block, 'context', text, at)
  const head = [title, context].filter((line) => line).map((line) => ({ type: 'text', text: line }))
  if (source.type === 'text') {
    return [...head, { type: 'text', text: required(source, 'data', text, `${at}source.`) }]
  }
  if (source.type === 'content') {
    const blocks = blocksOf(source.content, `${at}source.content`)
    const inner = blocks.flatMap((entry, index) => {
      const place = `${at}source.content[${index}]`
      const part = objectAt(entry, place, 'an object with a type')
      if (part.type !== 'text' && part.type !== 'image')
        throw unknownBlock(part, `${place}.`, 'text and image')
      return inputParts(part, `${place}.`)
    })
    return [...head, ...inner]
  }
  const kind = typeof source.type === 'string' ? source.type.slice(0, 40) : 'unknown'
  throw unsupported(
    `${at}source.type`,
    `${at}source.type "${kind}" cannot be read here: only documents of plain text can.`,
    'Send the text of the document.',
  )
}

function toolResult(block: Fields, at: string): Message {
  const id = required<string>(block, 'tool_use_id', filledText, at)
  const failed = given<boolean>(block, 'is_error', boolean, at) ?? false
  const said = block.content == null ? '' : resultText(block.content, `${at}content`)
  // OpenAI's form has no flag for it: the model must read that the tool failed.
  return { role: 'tool', tool_call_id: id, content: failed ? `Error: ${said}` : said }
}

function resultText(content: unknown, at: string): string {
  if (typeof content === 'string') return content
  const blocks = arrayAt(content, at, 'a string or an array of content blocks')
  const texts = blocks.map((entry, index) => {
    const place = `${at}[${index}].`
    const block = objectAt(entry, `${at}[${index}]`, 'an object with a type')
    if (block.type !== 'text') throw unknownBlock(block, place, 'text')
    return required<string>(block, 'text', text, place)
  })
  return texts.join('\n')
}

function unknownBlock(block: Fields, at: string, takes: string): HolonError {
  if (!isObject(block) || typeof block.type !== 'string') refuse(`${at}type`, `one of ${takes}`, block.type)
  const kind = block.type.slice(0, 40)
  return unsupported(`${at}type`, `${at}type "${kind}" cannot be honoured here: this place takes ${takes}.`)
}
