import { partialTail } from '../stop-scanner.ts'
import { CallEmitter, ContentHolder } from './call-emitter.ts'
import { CallReader } from './call-reader.ts'
import type { Delta, OutputParser } from './output-parser.ts'
import { parseTaggedCall } from './tagged-call.ts'

/**
 * For models that mark their calls: `<tool_call>{...}</tool_call>` (Hermes, Qwen), `[TOOL_CALLS][{...}]` and
 * `[TOOL_CALLS]name[ARGS]{...}` (Mistral). Text around the marks is content; a mark that frames no call is too.
 */
export interface Marks {
  open: string
  /** Null when a call ends with its JSON. */
  close: string | null
  /** What stands between a name and its arguments, where the name stands outside the JSON. */
  separator: string | null
}

type State = 'content' | 'before' | 'call' | 'named' | 'tagged' | 'after'

export class MarkedParser implements OutputParser {
  private readonly marks: Marks
  private readonly parameterTypes: (name: string, key: string) => string | undefined
  private readonly emitter = new CallEmitter()
  private readonly content = new ContentHolder()
  private state: State = 'content'
  private buffer = ''
  private reader: CallReader | null = null
  private begun = false

  constructor(
    marks: Marks,
    parameterTypes: (name: string, key: string) => string | undefined = () => undefined,
  ) {
    this.marks = marks
    this.parameterTypes = parameterTypes
  }

  get calls(): number {
    return this.emitter.calls
  }

  get callEnded(): boolean {
    return this.calls > 0 && (this.state === 'after' || this.state === 'content')
  }

  push(text: string): Delta[] {
    this.buffer += text
    const deltas: Delta[] = []
    // Each round either consumes something and goes on, or waits for more text.
    while (this.round(deltas));
    return deltas
  }

  end(): Delta[] {
    const deltas: Delta[] = []
    if (this.state === 'content') deltas.push(...this.content.push(this.buffer))
    else if (this.state !== 'after' && !this.begun) {
      deltas.push(...this.content.push(`${this.marks.open}${this.reader?.raw ?? ''}${this.buffer}`))
    }
    this.buffer = ''
    deltas.push(...this.content.end())
    return deltas
  }

  private begin(name: string): Delta {
    this.content.drop()
    return this.emitter.begin(name)
  }

  private round(deltas: Delta[]): boolean {
    if (this.state === 'content') return this.readContent(deltas)
    if (this.state === 'before') return this.readBefore()
    if (this.state === 'named') return this.readName(deltas)
    if (this.state === 'tagged') return this.readTagged(deltas)
    if (this.state === 'call') return this.readCall(deltas)
    return this.readAfter()
  }

  private readContent(deltas: Delta[]): boolean {
    const { open } = this.marks
    const at = this.buffer.indexOf(open)
    const end = at >= 0 ? at : this.buffer.length - partialTail(this.buffer, open)
    if (end > 0) deltas.push(...this.content.push(this.buffer.slice(0, end)))
    this.buffer = this.buffer.slice(end)
    if (at < 0) return false
    this.buffer = this.buffer.slice(open.length)
    this.state = 'before'
    return true
  }

  /** After the opening mark: what kind of call is it? */
  private readBefore(): boolean {
    const trimmed = this.buffer.replace(/^[\s[,]+/, '')
    if (trimmed === '') return false
    this.buffer = trimmed
    this.begun = false
    if (trimmed.startsWith('{')) {
      this.reader = new CallReader(['arguments', 'parameters'])
      this.state = 'call'
    } else this.state = this.marks.separator !== null ? 'named' : 'tagged'
    return true
  }

  private readName(deltas: Delta[]): boolean {
    const separator = this.marks.separator as string
    const at = this.buffer.indexOf(separator)
    if (at < 0) return false
    deltas.push(this.begin(this.buffer.slice(0, at).trim()))
    this.begun = true
    this.buffer = this.buffer.slice(at + separator.length)
    this.reader = new CallReader([])
    this.state = 'call'
    return true
  }

  /** Qwen's newer style, with tags inside the mark: read when it is whole, for its values have no types. */
  private readTagged(deltas: Delta[]): boolean {
    const close = this.marks.close
    const at = close === null ? -1 : this.buffer.indexOf(close)
    if (at < 0) return false
    const body = this.buffer.slice(0, at)
    this.buffer = this.buffer.slice(at)
    const call = parseTaggedCall(body, this.parameterTypes)
    if (call) deltas.push(this.begin(call.name), ...this.emitter.more(call.arguments))
    else deltas.push(...this.content.push(`${this.marks.open}${body}${close}`))
    this.state = 'after'
    return true
  }

  private readCall(deltas: Delta[]): boolean {
    const reader = this.reader as CallReader
    const named = this.begun && this.marks.separator !== null
    const before = reader.raw.length
    const rest = reader.push(this.buffer)
    this.buffer = rest
    if (named) {
      deltas.push(...this.emitter.more(reader.raw.slice(before)))
    } else {
      if (!this.begun && reader.name !== null) {
        deltas.push(this.begin(reader.name))
        this.begun = true
      }
      if (this.begun) deltas.push(...this.emitter.more(reader.takeArguments()))
    }
    if (!reader.complete) return false
    if (!this.begun) deltas.push(...this.content.push(`${this.marks.open}${reader.raw}`))
    this.state = 'after'
    return true
  }

  /** Between calls: closing mark, brackets, commas; a further call; or text again. */
  private readAfter(): boolean {
    const { close } = this.marks
    this.reader = null
    this.buffer = this.buffer.trimStart()
    if (this.buffer === '') return false
    if (close !== null) {
      if (this.buffer.startsWith(close)) this.buffer = this.buffer.slice(close.length)
      else if (close.startsWith(this.buffer)) return false
      this.state = 'content'
      return true
    }
    const next = /^[,\]]\s*/.exec(this.buffer)
    if (next) {
      this.buffer = this.buffer.slice(next[0].length)
      return true
    }
    this.state = this.buffer.startsWith('{') ? 'before' : 'content'
    return true
  }
}
