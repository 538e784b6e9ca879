/**
 * Emphasis, code, links and line breaks inside a paragraph, as a tree that components draw. No HTML is ever made:
 * whatever a model writes ends in text nodes. One pass with a bounded stack, so hostile text costs linear time.
 */
export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'em' | 'del'; children: Inline[] }
  | { kind: 'link'; href: string; children: Inline[] }
  | { kind: 'break' }

/** Something opened and not yet closed: a run of `*`, `_`, `~~` or a `[`. */
interface Frame {
  mark: string
  count: number
  children: Inline[]
}

/** Deeper nesting than any text for people has; keeps the drawn tree shallow. */
const maxDepth = 16
const maxLinkChars = 2048

export function parseInline(source: string): Inline[] {
  return new InlineParser(source).parse()
}

class InlineParser {
  #source: string
  #at = 0
  #out: Inline[] = []
  #text: string[] = []
  #frames: Frame[] = []
  #backticks: Map<number, number[]> | null = null

  constructor(source: string) {
    this.#source = source
  }

  parse(): Inline[] {
    const special = /[\\`*_~[\]!<\nhH]/g
    while (this.#at < this.#source.length) {
      special.lastIndex = this.#at
      const next = special.exec(this.#source)?.index ?? this.#source.length
      if (next > this.#at) this.#text.push(this.#source.slice(this.#at, next))
      this.#at = next
      if (next < this.#source.length) this.#special(this.#source[next]!)
    }
    this.#collapseTo(0)
    this.#flush()
    return this.#out
  }

  #special(character: string): void {
    if (character === '\n') this.#lineBreak()
    else if (character === '\\') this.#escape()
    else if (character === '`') this.#code()
    else if (character === '*' || character === '_' || character === '~') this.#emphasis(character)
    else if (character === '[' || character === '!') this.#openLink(character)
    else if (character === ']') this.#closeLink()
    else if (character === '<') this.#angle()
    else this.#bareUrl()
  }

  /** Where finished inlines go: into the innermost open frame, or out. */
  get #children(): Inline[] {
    return this.#frames.at(-1)?.children ?? this.#out
  }

  #take(length: number): void {
    this.#text.push(this.#source.slice(this.#at, this.#at + length))
    this.#at += length
  }

  #flush(): void {
    if (this.#text.length === 0) return
    this.#children.push({ kind: 'text', text: this.#text.join('') })
    this.#text = []
  }

  #append(inline: Inline): void {
    this.#flush()
    this.#children.push(inline)
  }

  /** Turns frames at `depth` and above back into the characters they were. */
  #collapseTo(depth: number): void {
    while (this.#frames.length > depth) {
      this.#flush()
      const frame = this.#frames.pop()!
      this.#children.push({ kind: 'text', text: frame.mark.repeat(frame.count) }, ...frame.children)
    }
  }

  /** People and models mean a line break when they make one; `  ` or `\` before it changes nothing. */
  #lineBreak(): void {
    const last = this.#text.pop()
    if (last !== undefined) this.#text.push(last.replace(/[ \t]{1,200}$/, ''))
    this.#append({ kind: 'break' })
    this.#at += 1
    while (this.#source[this.#at] === ' ' || this.#source[this.#at] === '\t') this.#at += 1
  }

  /** `\(` and `\[` stay as written: in a model's answer they open a formula. */
  #escape(): void {
    const next = this.#source[this.#at + 1] ?? ''
    if ('\\`*_~#|<>!-+.{}'.includes(next) && next !== '') {
      this.#at += 1
      this.#take(1)
    } else if (next === '\n') {
      this.#at += 1
    } else {
      this.#take(next === '[' || next === ']' ? 2 : 1)
    }
  }

  #code(): void {
    const run = runLength(this.#source, this.#at, '`')
    const start = this.#at + run
    const end = this.#closingBackticks(run, start)
    if (end < 0) {
      this.#take(run)
      return
    }
    let text = this.#source.slice(start, end).replaceAll('\n', ' ')
    if (text.length > 2 && text.startsWith(' ') && text.endsWith(' ')) text = text.slice(1, -1)
    this.#append({ kind: 'code', text })
    this.#at = end + run
  }

  /** Runs of backticks by length, found once: looking anew for each opener would take quadratic time. */
  #closingBackticks(length: number, from: number): number {
    if (this.#backticks === null) {
      this.#backticks = new Map()
      for (const match of this.#source.matchAll(/`+/g)) {
        const places = this.#backticks.get(match[0].length)
        if (places) places.push(match.index)
        else this.#backticks.set(match[0].length, [match.index])
      }
    }
    const places = this.#backticks.get(length) ?? []
    while (places.length > 0 && places[0]! < from) places.shift()
    return places[0] ?? -1
  }

  #emphasis(mark: string): void {
    const run = runLength(this.#source, this.#at, mark)
    const before = this.#source[this.#at - 1] ?? ' '
    const after = this.#source[this.#at + run] ?? ' '
    const wordBefore = /[\p{L}\p{N}]/u.test(before)
    const wordAfter = /[\p{L}\p{N}]/u.test(after)
    // snake_case and __dunder__ inside words are no emphasis; a * may stand inside a word.
    let canOpen = !/\s/.test(after) && !(mark === '_' && wordBefore)
    let canClose = !/\s/.test(before) && !(mark === '_' && wordAfter)
    if (mark === '~' && run !== 2) canOpen = canClose = false
    let left = run
    if (canClose) left = this.#close(mark, left)
    if (left > 0 && canOpen && left <= 3 && this.#frames.length < maxDepth) {
      this.#flush()
      this.#frames.push({ mark, count: left, children: [] })
      this.#at += run
      return
    }
    this.#text.push(mark.repeat(left))
    this.#at += run
  }

  /** Closes what `count` marks can close; returns how many are left over. */
  #close(mark: string, count: number): number {
    let left = count
    while (left > 0) {
      const depth = this.#frames.findLastIndex((frame) => frame.mark === mark)
      if (depth < 0) return left
      this.#collapseTo(depth + 1)
      this.#flush()
      const frame = this.#frames.pop()!
      const used = frame.count >= 2 && left >= 2 ? 2 : 1
      const kind = mark === '~' ? 'del' : used === 2 ? 'strong' : 'em'
      const wrapped: Inline = { kind, children: frame.children }
      left -= used
      if (frame.count > used) {
        this.#frames.push({ mark, count: frame.count - used, children: [wrapped] })
      } else {
        this.#children.push(wrapped)
      }
    }
    return 0
  }

  /** An image becomes a link to it: the page fetches nothing from elsewhere. */
  #openLink(character: string): void {
    const mark = character === '[' ? '[' : this.#source.startsWith('![', this.#at) ? '![' : null
    if (mark === null || this.#frames.length >= maxDepth) {
      this.#take(1)
      return
    }
    this.#flush()
    this.#frames.push({ mark, count: 1, children: [] })
    this.#at += mark.length
  }

  #closeLink(): void {
    const depth = this.#frames.findLastIndex((frame) => frame.mark.endsWith('['))
    if (depth < 0) {
      this.#take(1)
      return
    }
    const target = readTarget(this.#source, this.#at + 1)
    if (target === null) {
      this.#collapseTo(depth)
      this.#take(1)
      return
    }
    this.#collapseTo(depth + 1)
    this.#flush()
    const frame = this.#frames.pop()!
    const href = safeHref(target.href)
    const children = withoutLinks(frame.children)
    if (href === null) this.#children.push(...children)
    else
      this.#children.push({ kind: 'link', href, children: children.length > 0 ? children : [textOf(href)] })
    this.#at = target.end
  }

  #angle(): void {
    const rest = this.#source.slice(this.#at, this.#at + maxLinkChars)
    const lineBreak = /^<br ?\/?>/i.exec(rest)
    if (lineBreak) {
      this.#append({ kind: 'break' })
      this.#at += lineBreak[0].length
      return
    }
    const link = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(rest)
    const href = link ? safeHref(link[1]!) : null
    if (!link || href === null) {
      this.#take(1)
      return
    }
    this.#append({ kind: 'link', href, children: [textOf(link[1]!)] })
    this.#at += link[0].length
  }

  #bareUrl(): void {
    const before = this.#source[this.#at - 1] ?? ' '
    const rest = this.#source.slice(this.#at, this.#at + maxLinkChars)
    const match = /^https?:\/\/[^\s<>"'`*[\]{}|\\^]+/i.exec(rest)
    const insideLink = this.#frames.some((frame) => frame.mark.endsWith('['))
    if (!match || insideLink || /[\p{L}\p{N}]/u.test(before)) {
      this.#take(1)
      return
    }
    const url = trimUrl(match[0])
    const href = safeHref(url)
    if (href === null) {
      this.#take(1)
      return
    }
    this.#append({ kind: 'link', href, children: [textOf(url)] })
    this.#at += url.length
  }
}

const textOf = (text: string): Inline => ({ kind: 'text', text })

function runLength(source: string, at: number, mark: string): number {
  let end = at
  while (source[end] === mark) end += 1
  return end - at
}

/** The `(address "title")` after a `]`. Brackets inside the address may be nested. */
function readTarget(source: string, at: number): { href: string; end: number } | null {
  if (source[at] !== '(') return null
  let depth = 0
  for (let end = at; end < source.length && end - at < maxLinkChars; end++) {
    const character = source[end]
    if (character === '\n') return null
    if (character === '(') depth += 1
    if (character === ')') depth -= 1
    if (depth > 0) continue
    const inside = source.slice(at + 1, end).trim()
    const address = inside.split(/\s/, 1)[0] ?? ''
    return { href: address.replace(/^<|>$/g, ''), end: end + 1 }
  }
  return null
}

/** Sentence punctuation after an address is not part of it; nor is a bracket that it did not open. */
function trimUrl(url: string): string {
  let end = url.length
  for (;;) {
    const last = url[end - 1] ?? ''
    if ('.,;:!?'.includes(last) && last !== '') end -= 1
    else if (last === ')' && !url.slice(0, end).includes('(')) end -= 1
    else return url.slice(0, end)
  }
}

/** Only addresses a person can follow safely; never javascript:, data:, or a path on the hub itself. */
export function safeHref(address: string): string | null {
  if (!/^(?:https?:\/\/|mailto:)/i.test(address)) return null
  try {
    const url = new URL(address)
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null
  } catch {
    return null
  }
}

/** Links do not nest in HTML; an inner one becomes its text. */
function withoutLinks(inlines: Inline[]): Inline[] {
  return inlines.flatMap((inline) => {
    if (inline.kind === 'link') return withoutLinks(inline.children)
    if ('children' in inline) return [{ ...inline, children: withoutLinks(inline.children) }]
    return [inline]
  })
}
