/**
 * The items of OpenAI's Responses as chat messages. What one turn of the model is made of (a thought, a text, some calls)
 * are items of their own there and one assistant message here.
 */
import {
  arrayAt,
  type Fields,
  functionName,
  given,
  imageUrlPart,
  objectAt,
  required,
  unsupported,
} from '../fields.ts'
import { filledText, oneOf, refuse, text } from '../openai/checks.ts'

/** Gives the item of an `item_reference`, null when it is not kept. */
export type FindItem = (id: string) => unknown

const maxItems = 100_000

/** The items of an input, with references resolved. @throws HolonError invalid_parameter, unsupported_parameter */
export function readInput(input: unknown, find: FindItem): unknown[] {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }]
  const items = arrayAt(input, 'input', 'a string or an array of items')
  if (items.length > maxItems) refuse('input', `at most ${maxItems} items`, items)
  return items.map((item, index) => {
    const fields = objectAt(item, `input[${index}]`, 'an object with a type')
    if (fields.type !== 'item_reference') return item
    const id = required<string>(fields, 'id', filledText, `input[${index}].`)
    const found = find(id)
    if (found !== null) return found
    throw unsupported(
      `input[${index}].id`,
      `input[${index}].id names an item that is not kept here (any more).`,
      'Send the item itself.',
    )
  })
}

export function toMessages(items: readonly unknown[], instructions: string | undefined): Fields[] {
  const messages: Fields[] = instructions ? [{ role: 'system', content: instructions }] : []
  /** A thought waits for what the model said or called after it. */
  let thought = ''
  let turn: Fields | null = null
  for (const [index, entry] of items.entries()) {
    const at = `input[${index}].`
    const item = objectAt(entry, `input[${index}]`, 'an object with a type')
    const type = item.type ?? 'message'
    if (type === 'reasoning') {
      thought += reasoningText(item, at)
      continue
    }
    if (type === 'function_call' || (type === 'message' && item.role === 'assistant')) {
      // A text after calls begins a new turn; calls after a text, or after calls, go on with it.
      if (turn === null || type === 'message') {
        turn = { role: 'assistant', content: null }
        messages.push(turn)
      }
      if (thought !== '') turn.reasoning_content = thought
      thought = ''
      if (type === 'message') turn.content = content(item.content, `${at}content`)
      else turn.tool_calls = [...((turn.tool_calls as object[] | undefined) ?? []), functionCall(item, at)]
      continue
    }
    turn = null
    if (type === 'message') say(messages, message(item, at))
    else if (type === 'function_call_output') messages.push(callOutput(item, at))
    else throw unknownItem(type, at)
  }
  return messages
}

/** Instructions and what a developer says first are one system message: most chat templates take no second. */
function say(messages: Fields[], next: Fields): void {
  const last = messages.at(-1)
  const joins = last?.role === 'system' && next.role === 'system'
  if (joins && typeof last.content === 'string' && typeof next.content === 'string') {
    last.content = `${last.content}\n\n${next.content}`
  } else messages.push(next)
}

function message(item: Fields, at: string): Fields {
  oneOf('user', 'assistant', 'system', 'developer')(item.role, `${at}role`)
  const role = item.role === 'developer' ? 'system' : item.role
  return { role, content: content(item.content, `${at}content`) }
}

function content(value: unknown, at: string): string | object[] {
  if (typeof value === 'string') return value
  const parts = arrayAt(value, at, 'a string or an array of content parts').map((entry, index) => {
    const part = objectAt(entry, `${at}[${index}]`, 'an object with a type')
    const place = `${at}[${index}].`
    switch (part.type) {
      case 'input_text':
      case 'output_text':
      case 'text':
        return { type: 'text', text: required<string>(part, 'text', text, place) }
      case 'refusal':
        return { type: 'text', text: required<string>(part, 'refusal', text, place) }
      case 'input_image':
        return inputImage(part, place)
      default: {
        const kind = typeof part.type === 'string' ? `"${part.type.slice(0, 40)}"` : 'without a type'
        throw unsupported(`${place}type`, `${place}type: a part ${kind} cannot be read here.`, 'Send text.')
      }
    }
  })
  const texts = parts.map((part) => (part as { text?: unknown }).text)
  return texts.every((each): each is string => typeof each === 'string') ? texts.join('\n') : parts
}

function inputImage(part: Fields, at: string): object {
  if (part.file_id != null) {
    throw unsupported(
      `${at}file_id`,
      `${at}file_id: files are not kept here.`,
      'Send the image in image_url.',
    )
  }
  return imageUrlPart(required(part, 'image_url', filledText, at))
}

function functionCall(item: Fields, at: string): object {
  const name = required<string>(item, 'name', functionName, at)
  const args = required<string>(item, 'arguments', text, at)
  return {
    id: required<string>(item, 'call_id', filledText, at),
    type: 'function',
    function: { name, arguments: args },
  }
}

function callOutput(item: Fields, at: string): Fields {
  const id = required<string>(item, 'call_id', filledText, at)
  const said = content(item.output, `${at}output`)
  if (typeof said !== 'string') {
    throw unsupported(`${at}output`, `${at}output: the result of a function is text here.`, 'Send text.')
  }
  return { role: 'tool', tool_call_id: id, content: said }
}

/** The thought itself when it is there, else what was told of it. An encrypted one cannot be read and is left out. */
function reasoningText(item: Fields, at: string): string {
  const thoughts: string[] = []
  for (const name of ['content', 'summary']) {
    if (item[name] == null) continue
    for (const [index, entry] of arrayAt(item[name], at + name, 'an array of texts').entries()) {
      const place = `${at}${name}[${index}]`
      thoughts.push(given<string>(objectAt(entry, place), 'text', text, `${place}.`) ?? '')
    }
    if (thoughts.length > 0) break
  }
  return thoughts.join('\n')
}

function unknownItem(type: unknown, at: string) {
  const kind = typeof type === 'string' ? `"${type.slice(0, 40)}"` : 'of no type'
  return unsupported(
    `${at}type`,
    `${at}type: an item ${kind} cannot be honoured here; message, reasoning, function_call and function_call_output can.`,
  )
}
