/** Ollama's messages as OpenAI's. Ollama's calls have names where OpenAI's have ids, so ids are made and matched here. */
import { type Fields, functionName, given, imagePart, objectAt, refuseUnknown, required } from '../fields.ts'
import { arrayOf, filledText, object, oneOf, text } from '../openai/checks.ts'

const known = new Set([
  ...['role', 'content', 'images', 'tool_calls', 'thinking', 'tool_name', 'tool_call_id', 'name'],
  // Clients send back what they were given.
  ...['reasoning', 'reasoning_content', 'logprobs'],
])

interface OpenCall {
  id: string
  name: string
}

export function readMessages(list: readonly unknown[]): Fields[] {
  const open: OpenCall[] = []
  let calls = 0
  return list.map((entry, index) => {
    const at = `messages[${index}].`
    const message = entry as Fields
    refuseUnknown(message, known, at)
    oneOf('system', 'user', 'assistant', 'tool')(message.role, `${at}role`)
    const role = message.role as string
    const content = given<string>(message, 'content', text, at) ?? ''
    const images = given<string[]>(message, 'images', arrayOf(filledText, 0, 64), at) ?? []
    if (role === 'tool') return { role, tool_call_id: answered(open, message, at), content }
    const read: Fields = { role, content: images.length === 0 ? content : withImages(content, images) }
    if (role !== 'assistant') return read
    const thinking = given<string>(message, 'thinking', text, at)
    if (thinking) read.reasoning_content = thinking
    const made = given<unknown[]>(message, 'tool_calls', arrayOf(object, 0, 1024), at) ?? []
    if (made.length === 0) return read
    read.tool_calls = made.map((call, place) => {
      const { id, shape } = toolCall(call as Fields, `${at}tool_calls[${place}].`, `call_${calls++}`)
      open.push(id)
      return shape
    })
    return read
  })
}

function toolCall(call: Fields, at: string, newId: string): { id: OpenCall; shape: object } {
  const described = objectAt(call.function, `${at}function`)
  const name = required<string>(described, 'name', functionName, `${at}function.`)
  const id = given<string>(call, 'id', filledText, at) ?? newId
  const input = given<object>(described, 'arguments', object, `${at}function.`) ?? {}
  return {
    id: { id, name },
    shape: { id, type: 'function', function: { name, arguments: JSON.stringify(input) } },
  }
}

/** The call that a result answers: the one it names, else the oldest that has no result yet. */
function answered(open: OpenCall[], message: Fields, at: string): string {
  const id = given<string>(message, 'tool_call_id', filledText, at)
  const name = given<string>(message, 'tool_name', text, at) ?? given<string>(message, 'name', text, at)
  let place = open.findIndex((call) => (id === undefined ? call.name === name : call.id === id))
  if (place < 0 && id === undefined) place = 0
  const [call] = open.splice(place < 0 ? open.length : place, 1)
  return id ?? call?.id ?? 'call_unknown'
}

function withImages(content: string, images: readonly string[]): object[] {
  const parts = images.map((image) => imagePart(imageType(image), image))
  return content === '' ? parts : [{ type: 'text', text: content }, ...parts]
}

/** By the first bytes, as base64 shows them: Ollama's images come without a type. */
export function imageType(base64: string): string {
  if (base64.startsWith('/9j/')) return 'image/jpeg'
  if (base64.startsWith('R0lG')) return 'image/gif'
  if (base64.startsWith('UklG')) return 'image/webp'
  return 'image/png'
}
