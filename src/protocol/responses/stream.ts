/**
 * A stream in the events of OpenAI's Responses. Each item is added, grows, and is done before the next is added; the last
 * event holds the whole response, so what is told is also collected here, as long as one answer is.
 */
import { type HolonError, toEnvelope } from '../../core/errors.ts'
import { alien, type CallPiece, readChatAnswer, readChatPiece } from '../openai/chat-answer.ts'
import type { AnswerTeller } from '../translation.ts'
import { callItem, messageItem, type OutputItem, ResponseInTheMaking, reasoningItem } from './answer.ts'
import type { ResponsesRequest } from './request.ts'

/** Told once, of a response that is whole. */
export type OnWhole = (response: object, output: readonly OutputItem[]) => void

export class ResponsesTeller implements AnswerTeller {
  readonly streamType = 'text/event-stream; charset=utf-8'
  private readonly response: ResponseInTheMaking
  private readonly onWhole: OnWhole
  private open: OutputItem | null = null
  /** The engine's index of the highest call seen. */
  private call = -1
  private sequence = 0

  /** @param createdS seconds since the epoch */
  constructor(asked: ResponsesRequest, createdS: number, onWhole: OnWhole) {
    this.response = new ResponseInTheMaking(asked, createdS)
    this.onWhole = onWhole
  }

  whole(answer: unknown): object {
    const read = readChatAnswer(answer)
    const { response } = this
    response.finish = read.finish
    response.spent = read.spent
    const status = response.ending
    if (read.reasoning !== '') response.output.push(reasoningItem(read.reasoning, 'completed'))
    const said = read.text || read.refusal
    if (said !== '' || read.calls.length === 0) {
      response.output.push(messageItem(said, read.logprobs ?? [], status))
    }
    for (const call of read.calls) response.output.push(callItem(call.id, call.name, call.arguments, status))
    return this.finished()
  }

  piece(event: unknown): string {
    const piece = readChatPiece(event)
    let out = this.start()
    if (piece.reasoning !== '') out += this.think(piece.reasoning)
    const said = piece.text || piece.refusal
    if (said !== '') out += this.say(said, piece.logprobs ?? [])
    for (const call of piece.calls) out += this.tellCall(call)
    if (piece.finish !== null) this.response.finish = piece.finish
    this.response.spent = piece.spent ?? this.response.spent
    return out
  }

  end(): string {
    const status = this.response.ending
    const out = this.start() + this.close(status)
    return out + this.event(`response.${status}`, { response: this.finished() })
  }

  keepAlive(comment: string): string {
    return `: ${comment}\n\n`
  }

  /** Some clients listen for the one, some for the other. */
  broken(error: HolonError): string {
    const { error: told } = toEnvelope(error)
    const failed =
      this.start() + this.event('response.failed', { response: this.response.object('failed', error) })
    const { code, message, param } = told
    return failed + this.event('error', { code, message, param, error: told })
  }

  private finished(): object {
    const whole = this.response.object(this.response.ending)
    this.onWhole(whole, this.response.output)
    return whole
  }

  private start(): string {
    if (this.sequence > 0) return ''
    const response = this.response.object('in_progress')
    return this.event('response.created', { response }) + this.event('response.in_progress', { response })
  }

  private think(text: string): string {
    let out = ''
    if (this.open?.type !== 'reasoning') {
      out = this.enter(reasoningItem('', 'in_progress'), { content: [] })
      out += this.partEvent('response.content_part.added', { part: { type: 'reasoning_text', text: '' } })
    }
    const item = this.open as OutputItem & { type: 'reasoning' }
    item.content[0]!.text += text
    return out + this.partEvent('response.reasoning_text.delta', { delta: text })
  }

  private say(text: string, logprobs: unknown[]): string {
    let out = ''
    if (this.open?.type !== 'message') {
      out = this.enter(messageItem('', [], 'in_progress'), { content: [] })
      const part = { type: 'output_text', text: '', annotations: [], logprobs: [] }
      out += this.partEvent('response.content_part.added', { part })
    }
    const [part] = (this.open as OutputItem & { type: 'message' }).content
    part!.text += text
    part!.logprobs.push(...logprobs)
    return out + this.partEvent('response.output_text.delta', { delta: text, logprobs })
  }

  private tellCall(call: CallPiece): string {
    let out = ''
    if (call.index > this.call) {
      if (call.name === '') throw alien('a tool call begins without a name')
      this.call = call.index
      out = this.enter(callItem(call.id, call.name, '', 'in_progress'), {})
    }
    const item = this.open
    if (item?.type !== 'function_call' || call.index < this.call) {
      throw alien('a tool call goes on after it was closed')
    }
    if (call.arguments === '') return out
    item.arguments += call.arguments
    return out + this.itemEvent('response.function_call_arguments.delta', { delta: call.arguments })
  }

  /** @param before what the item looks like while nothing of it is there */
  private enter(item: OutputItem, before: object): string {
    const closed = this.close('completed')
    this.open = item
    this.response.output.push(item)
    const output_index = this.response.output.length - 1
    return closed + this.event('response.output_item.added', { output_index, item: { ...item, ...before } })
  }

  private close(status: 'completed' | 'incomplete'): string {
    const item = this.open
    if (item === null) return ''
    item.status = status
    let out = ''
    if (item.type === 'function_call') {
      const { name, arguments: args } = item
      out = this.itemEvent('response.function_call_arguments.done', { name, arguments: args })
    } else if (item.type === 'reasoning') {
      const [part] = item.content
      out = this.partEvent('response.reasoning_text.done', { text: part!.text })
      out += this.partEvent('response.content_part.done', { part })
    } else {
      const [part] = item.content
      out = this.partEvent('response.output_text.done', { text: part!.text, logprobs: part!.logprobs })
      out += this.partEvent('response.content_part.done', { part })
    }
    this.open = null
    const output_index = this.response.output.length - 1
    return out + this.event('response.output_item.done', { output_index, item })
  }

  private partEvent(type: string, fields: object): string {
    return this.itemEvent(type, { content_index: 0, ...fields })
  }

  private itemEvent(type: string, fields: object): string {
    const output_index = this.response.output.length - 1
    return this.event(type, { item_id: this.open?.id, output_index, ...fields })
  }

  private event(type: string, fields: object): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.sequence++, ...fields })}\n\n`
  }
}
