/**
 * Reads one tool call, `{"name": ..., "arguments": {...}}`, as its text arrives, and hands the arguments on as the
 * model wrote them, before they are complete. It looks only as deep as it must: strings, brackets, and the keys of the
 * outermost object.
 */
export class CallReader {
  private readonly argumentKeys: ReadonlySet<string>
  private text = ''
  private at = 0
  private depth = 0
  private inString = false
  private escaped = false
  private stringStart = 0
  private lastString = ''
  private key: string | null = null
  private valueStart = -1
  private sent = 0
  private argumentsText: string | null = null
  name: string | null = null
  /** The outermost object is closed. */
  complete = false

  constructor(argumentKeys: readonly string[]) {
    this.argumentKeys = new Set(argumentKeys)
  }

  /** Takes text; returns what stands after the end of the call. */
  push(text: string): string {
    this.text += text
    while (this.at < this.text.length && !this.complete) this.step()
    if (!this.complete) return ''
    const rest = this.text.slice(this.at)
    this.text = this.text.slice(0, this.at)
    return rest
  }

  /** The whole text of the call, for when it turns out to be none. */
  get raw(): string {
    return this.text
  }

  /** New argument text since the last time; empty until the name is known. */
  takeArguments(): string {
    if (this.name === null) return ''
    const whole = this.argumentsText ?? this.partialArguments()
    const fresh = whole.slice(this.sent)
    this.sent = whole.length
    return fresh
  }

  /** Arguments under way: only those of an object are sent piece by piece, a quoted one must be unquoted first. */
  private partialArguments(): string {
    if (this.key === null || !this.argumentKeys.has(this.key) || this.valueStart < 0) return ''
    const partial = this.text.slice(this.valueStart, this.at)
    return partial.startsWith('{') ? partial : ''
  }

  private step(): void {
    const character = this.text[this.at] as string
    if (this.inString) this.stepString(character)
    else this.stepPlain(character)
    this.at++
  }

  private stepString(character: string): void {
    if (this.escaped) this.escaped = false
    else if (character === '\\') this.escaped = true
    else if (character === '"') {
      this.inString = false
      if (this.depth === 1) this.lastString = this.text.slice(this.stringStart, this.at + 1)
    }
  }

  private stepPlain(character: string): void {
    const isValueStart = this.key !== null && this.valueStart < 0 && !/[\s:]/.test(character)
    if (isValueStart && this.depth === 1 && character !== '}' && character !== ',') this.valueStart = this.at
    if (character === '"') {
      this.inString = true
      this.stringStart = this.at
    } else if (character === '{' || character === '[') this.depth++
    else if (character === '}' || character === ']') {
      if (this.depth === 1) this.endValue()
      this.depth--
      if (this.depth === 0) this.complete = true
      else if (this.depth === 1 && this.key !== null && this.argumentKeys.has(this.key)) this.endObjectValue()
    } else if (this.depth === 1 && character === ':') this.key = unquote(this.lastString)
    else if (this.depth === 1 && character === ',') this.endValue()
  }

  private endObjectValue(): void {
    this.argumentsText = this.text.slice(this.valueStart, this.at + 1)
  }

  private endValue(): void {
    if (this.key === null || this.valueStart < 0) return
    const value = this.text.slice(this.valueStart, this.at).trim()
    if (this.key === 'name') this.name = unquote(value)
    else if (this.argumentKeys.has(this.key) && this.argumentsText === null) {
      this.argumentsText = value.startsWith('"') ? (unquote(value) ?? value) : value
    }
    this.key = null
    this.valueStart = -1
  }
}

function unquote(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}
