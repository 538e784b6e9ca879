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
