/**
 * What the fake engine says beyond plain words, whole or as a stream's deltas:
 *
 * | text         | answer                                                                        |
 * |--------------|-------------------------------------------------------------------------------|
 * | `!think`     | a thought under `reasoning_content`, then text                                |
 * | `!calls`     | a sentence, then two tool calls, their arguments in pieces                     |
 * | `!astral`    | characters of two to four bytes; with a stream, in chunks of one byte          |
 * | `!long`      | ends with `length`                                                            |
 * | `!stopped`   | ends at the first stop string, and names it as vLLM does (`stop_reason`)       |
 * | `!alien`     | a stream whose second event is no JSON; whole, a body that is no JSON          |
 */
import type { ServerResponse } from 'node:http'

export interface Words {
  deltas: Record<string, unknown>[]
  finish: string
  stopReason?: string
}

interface CallPiece {
  index: number
  id?: string
  function: { name?: string; arguments: string }
}

const calls = [
  { id: 'call_a', name: 'weather', pieces: ['{"ci', 'ty":"Bern"}'] },
  { id: 'call_b', name: 'clock', pieces: ['{}'] },
]

export function wordsFor(text: string, body: Record<string, unknown>): Words | null {
  switch (text) {
    case '!think':
      return {
        deltas: [{ reasoning_content: 'let me ' }, { reasoning_content: 'see' }, { content: 'word0 ' }],
        finish: 'stop',
      }
    case '!calls':
      return { deltas: [{ content: 'Looking. ' }, ...calls.flatMap(callDeltas)], finish: 'tool_calls' }
    case '!astral':
      return { deltas: [{ content: 'é中' }, { content: '🙂' }, { content: 'ß' }], finish: 'stop' }
    case '!long':
      return { deltas: [{ content: 'word0 ' }], finish: 'length' }
    case '!stopped': {
      const stop = Array.isArray(body.stop) ? String(body.stop[0]) : 'stop'
      return { deltas: [{ content: 'word0 ' }], finish: 'stop', stopReason: stop }
    }
    default:
      return forced(body)
  }
}

/** A forced call, when the request forces one and streams. */
function forced(body: Record<string, unknown>): Words | null {
  const tools = body.tools as { function: { name: string } }[] | undefined
  const choice = body.tool_choice as string | { function?: { name?: string } } | undefined
  const name = typeof choice === 'object' ? choice.function?.name : tools?.[0]?.function.name
  if (!tools || !name || choice === 'auto' || choice === 'none' || choice === undefined) return null
  return {
    deltas: callDeltas({ id: 'call_1', name, pieces: ['{"city":', '"Bern"}'] }, 0),
    finish: 'tool_calls',
  }
}

function callDeltas(call: (typeof calls)[number], index: number): Record<string, unknown>[] {
  const head = { index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } }
  return [head, ...call.pieces.map((piece) => ({ index, function: { arguments: piece } }))].map((each) => ({
    tool_calls: [each],
  }))
}

/** The deltas put together as one message. */
export function asMessage(words: Words): Record<string, unknown> {
  let content = ''
  let reasoning = ''
  const made = new Map<
    number,
    { id: string; type: 'function'; function: { name: string; arguments: string } }
  >()
  for (const delta of words.deltas) {
    content += String(delta.content ?? '')
    reasoning += String(delta.reasoning_content ?? '')
    for (const piece of (delta.tool_calls ?? []) as CallPiece[]) {
      const known = made.get(piece.index)
      if (known) known.function.arguments += piece.function.arguments
      else {
        const { name = '', arguments: text } = piece.function
        made.set(piece.index, { id: piece.id ?? '', type: 'function', function: { name, arguments: text } })
      }
    }
  }
  const message: Record<string, unknown> = { role: 'assistant', content: content === '' ? null : content }
  if (reasoning !== '') message.reasoning_content = reasoning
  if (made.size > 0) message.tool_calls = [...made.values()]
  return message
}

interface Said {
  text: string
  body: Record<string, unknown>
  res: ServerResponse
}

export const usage = {
  prompt_tokens: 7,
  completion_tokens: 4,
  total_tokens: 11,
  prompt_tokens_details: { cached_tokens: 3 },
}
export const timings = {
  cache_n: 3,
  prompt_n: 4,
  prompt_ms: 10,
  prompt_per_second: 400,
  predicted_n: 4,
  predicted_ms: 40,
  predicted_per_second: 100,
}

export function speak(call: Said, words: Words): void {
  const { body, res, text } = call
  const base = { id: 'cmpl-1', created: 1, model: body.model, object: 'chat.completion.chunk' }
  const event = (delta: object, more: object = {}) => ({
    ...base,
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
  })
  const events: object[] = [
    event({ role: 'assistant', content: '' }),
    ...words.deltas.map((each) => event(each)),
  ]
  events.push(event({}, { finish_reason: words.finish, stop_reason: words.stopReason ?? null }))
  const options = body.stream_options as { include_usage?: boolean } | undefined
  if (options?.include_usage) events.push({ ...base, choices: [], usage, timings })
  const bytes = Buffer.from(
    `${events.map((each) => `data: ${JSON.stringify(each)}\n\n`).join('')}data: [DONE]\n\n`,
  )
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  if (text === '!astral') for (const byte of bytes) res.write(Buffer.from([byte]))
  else res.write(bytes)
  res.end()
}

export function speakWhole(call: Said, words: Words): void {
  const { body, res } = call
  const choice = {
    index: 0,
    message: asMessage(words),
    finish_reason: words.finish,
    stop_reason: words.stopReason ?? null,
  }
  res.writeHead(200, { 'content-type': 'application/json' })
  res.end(
    JSON.stringify({
      id: 'cmpl-1',
      object: 'chat.completion',
      created: 1,
      model: body.model,
      choices: [choice],
      usage,
      timings,
    }),
  )
}

/** One line per message, one token per word: enough to prove that the request got here as it should. */
export function layOut(body: Record<string, unknown>, res: ServerResponse): void {
  const messages = body.messages as { role: string; content: unknown }[]
  const prompt = messages.map((each) => `${each.role} ${String(each.content)}`).join('\n')
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ prompt }))
}

export function tokenize(body: Record<string, unknown>, res: ServerResponse): void {
  const tokens = String(body.content)
    .split(/\s+/)
    .map((_, index) => index)
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ tokens }))
}
