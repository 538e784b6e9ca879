/**
 * A stream in Anthropic's events: message_start, a ping, blocks one after the other (start, deltas, stop), message_delta
 * with the stop reason and the usage, message_stop. Clients keep the last block open in their hands, so a block is
 * closed before the next one opens.
 */
import type { HolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import { alien, type CallPiece, type Finish, readChatPiece, type Spent } from '../openai/chat-answer.ts'
import type { AnswerTeller } from '../translation.ts'
import { emptyMessage, stopOf, usageOf, wholeMessage } from './answer.ts'
import { errorBody } from './errors.ts'
import type { AnthropicRequest } from './request.ts'

type Block = 'text' | 'thinking' | 'tool_use'

export class AnthropicTeller implements AnswerTeller {
  readonly streamType = 'text/event-stream; charset=utf-8'
  private readonly asked: AnthropicRequest
  private readonly requestId: string
  private started = false
  private open: Block | null = null
  /** Index of the open block, or of the next one. */
  private index = 0
  /** The engine's index of the call that is open, and the highest seen. */
  private call = -1
  private finish: Finish = 'stop'
  private stopText: string | null = null
  private spent: Spent | null = null

  constructor(asked: AnthropicRequest, requestId: string) {
    this.asked = asked
    this.requestId = requestId
  }

  whole(answer: unknown): object {
    return wholeMessage(this.asked, answer)
  }

  piece(event: unknown): string {
    const piece = readChatPiece(event)
    let out = this.start()
    if (piece.reasoning !== '' && this.asked.showThinking) {
      out += this.enter('thinking', { type: 'thinking', thinking: '', signature: '' })
      out += this.delta({ type: 'thinking_delta', thinking: piece.reasoning })
    }
    const said = piece.text || piece.refusal
    if (said !== '') {
      out += this.enter('text', { type: 'text', text: '' })
      out += this.delta({ type: 'text_delta', text: said })
    }
    for (const call of piece.calls) out += this.tellCall(call)
    if (piece.finish !== null) this.finish = piece.finish
    this.stopText = piece.stopText ?? this.stopText
    this.spent = piece.spent ?? this.spent
    return out
  }

  end(): string {
    const delta = stopOf(this.asked, this.finish, this.stopText, this.call >= 0)
    return (
      this.start() +
      this.close() +
      sse('message_delta', { delta, usage: usageOf(this.spent) }) +
      sse('message_stop', {})
    )
  }

  /** Before message_start no event is in order; after it Anthropic's own is. */
  keepAlive(comment: string): string {
    return this.started ? sse('ping', {}) : `: ${comment}\n\n`
  }

  broken(error: HolonError): string {
    return `event: error\ndata: ${JSON.stringify(errorBody(error, this.requestId))}\n\n`
  }

  private start(): string {
    if (this.started) return ''
    this.started = true
    return sse('message_start', { message: emptyMessage(this.asked.model) }) + sse('ping', {})
  }

  private tellCall(call: CallPiece): string {
    let out = ''
    if (call.index > this.call) {
      if (call.name === '') throw alien('a tool call begins without a name')
      out += this.close()
      this.call = call.index
      const block = { type: 'tool_use', id: call.id || newId('toolu'), name: call.name, input: {} }
      out += this.enter('tool_use', block)
    } else if (call.index < this.call || this.open !== 'tool_use') {
      throw alien('a tool call goes on after it was closed')
    }
    if (call.arguments !== '') out += this.delta({ type: 'input_json_delta', partial_json: call.arguments })
    return out
  }

  private enter(kind: Block, block: object): string {
    if (this.open === kind) return ''
    const closed = this.close()
    this.open = kind
    return closed + sse('content_block_start', { index: this.index, content_block: block })
  }

  private close(): string {
    if (this.open === null) return ''
    this.open = null
    return sse('content_block_stop', { index: this.index++ })
  }

  private delta(delta: object): string {
    return sse('content_block_delta', { index: this.index, delta })
  }
}

function sse(type: string, fields: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`
}
