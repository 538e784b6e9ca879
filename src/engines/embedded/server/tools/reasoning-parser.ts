import { partialTail } from '../stop-scanner.ts'
import type { Delta, OutputParser } from './output-parser.ts'

export const reasoningMarkers = ['<think>', '</think>'] as const
const [open, close] = reasoningMarkers

/**
 * Keeps a model's thinking, `<think>...</think>` before its answer, apart as `reasoning_content`, as llama-server
 * does. Templates that open the mark themselves leave only the closing one to the model.
 */
export class ReasoningParser implements OutputParser {
  private readonly answer: OutputParser
  private state: 'start' | 'thinking' | 'between' | 'answer'
  private buffer = ''
  private blanks = ''

  /** `prompt` tells whether the model is thinking already. */
  constructor(answer: OutputParser, prompt: string) {
    this.answer = answer
    this.state = prompt.trimEnd().endsWith(open) ? 'thinking' : 'start'
  }

  get calls(): number {
    return this.answer.calls
  }

  get callEnded(): boolean {
    return this.answer.callEnded
  }

  push(text: string): Delta[] {
    if (this.state === 'answer') return this.answer.push(text)
    this.buffer += text
    const deltas: Delta[] = []
    // In this order: each step may lead into the next.
    this.decide()
    this.think(deltas)
    this.skipBlanks()
    deltas.push(...this.handOver())
    return deltas
  }

  end(): Delta[] {
    const rest = this.buffer
    this.buffer = ''
    if (this.state === 'thinking') return rest === '' ? [] : [{ reasoning_content: this.blanks + rest }]
    const deltas = this.state === 'start' ? this.answer.push(rest) : []
    return [...deltas, ...this.answer.end()]
  }

  private decide(): void {
    if (this.state !== 'start') return
    const trimmed = this.buffer.trimStart()
    if (trimmed.startsWith(open)) {
      this.buffer = trimmed.slice(open.length)
      this.state = 'thinking'
    } else if (!open.startsWith(trimmed)) this.state = 'answer'
  }

  private think(deltas: Delta[]): void {
    if (this.state !== 'thinking') return
    const at = this.buffer.indexOf(close)
    const end = at >= 0 ? at : this.buffer.length - partialTail(this.buffer, close)
    const whole = this.blanks + this.buffer.slice(0, end)
    // Blanks around the thinking belong to the marks.
    const solid = whole.trimEnd()
    this.blanks = whole.slice(solid.length)
    if (solid !== '') deltas.push({ reasoning_content: solid })
    this.buffer = this.buffer.slice(end)
    if (at < 0) return
    this.buffer = this.buffer.slice(close.length)
    this.state = 'between'
  }

  private skipBlanks(): void {
    if (this.state !== 'between') return
    this.buffer = this.buffer.trimStart()
    if (this.buffer !== '') this.state = 'answer'
  }

  private handOver(): Delta[] {
    if (this.state !== 'answer') return []
    const rest = this.buffer
    this.buffer = ''
    return this.answer.push(rest)
  }
}
