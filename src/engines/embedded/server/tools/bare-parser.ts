import { CallEmitter } from './call-emitter.ts'
import { CallReader } from './call-reader.ts'
import type { Delta, OutputParser } from './output-parser.ts'

/**
 * For models whose whole answer is the call, as Llama 3 does it: `{"name": ..., "parameters": {...}}`, perhaps after
 * `<|python_tag|>`. An answer that does not begin like that, or is no call after all, is text.
 */
export class BareParser implements OutputParser {
  private readonly emitter = new CallEmitter()
  private state: 'start' | 'call' | 'text' = 'start'
  private buffer = ''
  private reader = new CallReader(['parameters', 'arguments'])
  private begun = false

  get calls(): number {
    return this.emitter.calls
  }

  get callEnded(): boolean {
    return this.calls > 0 && this.state !== 'call'
  }

  push(text: string): Delta[] {
    this.buffer += text
    if (this.state === 'start') this.decide()
    if (this.state === 'text') return this.flushText()
    return this.state === 'call' ? this.readCall() : []
  }

  end(): Delta[] {
    const raw = this.begun || this.state === 'text' ? '' : this.reader.raw
    const text = raw + this.buffer
    this.buffer = ''
    return text.trim() === '' ? [] : [{ content: text }]
  }

  private decide(): void {
    const tag = '<|python_tag|>'
    // Between calls models put blanks, commas or semicolons.
    const trimmed = this.calls > 0 ? this.buffer.replace(/^[\s;,]+/, '') : this.buffer.trimStart()
    if (trimmed === '' || (tag.startsWith(trimmed) && trimmed !== tag)) return
    const body = trimmed.startsWith(tag) ? trimmed.slice(tag.length).trimStart() : trimmed
    if (body === '') return
    this.state = body.startsWith('{') ? 'call' : 'text'
    if (this.state === 'call') this.buffer = body
  }

  private flushText(): Delta[] {
    const content = this.buffer
    this.buffer = ''
    return content === '' ? [] : [{ content }]
  }

  private readCall(): Delta[] {
    const deltas: Delta[] = []
    const { reader } = this
    this.buffer = reader.push(this.buffer)
    if (!this.begun && reader.name !== null) {
      deltas.push(this.emitter.begin(reader.name))
      this.begun = true
    }
    if (this.begun) deltas.push(...this.emitter.more(reader.takeArguments()))
    if (!reader.complete) return deltas
    if (!this.begun) {
      // Plain JSON that calls nothing: the answer itself.
      this.buffer = reader.raw + this.buffer
      this.state = 'text'
      return this.flushText()
    }
    this.reader = new CallReader(['parameters', 'arguments'])
    this.begun = false
    this.state = 'start'
    return this.buffer === '' ? deltas : [...deltas, ...this.push('')]
  }
}
