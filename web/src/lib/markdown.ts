/**
 * The blocks of a model's answer: paragraphs, headings, code, lists, quotes, tables. Own and small, because the page
 * draws a tree of components and never HTML, which no library does; and because text that still streams must read well.
 */
import { type Inline, parseInline } from './markdown-inline.ts'

export type Align = 'left' | 'center' | 'right' | null

export type Block = { source: string } & (
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; children: Block[] }
  | { kind: 'list'; start: number | null; items: Block[][] }
  | { kind: 'table'; align: Align[]; header: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' }
)

/** Quotes and lists nested deeper are shown as plain text. */
const maxDepth = 8
const maxColumns = 64

/**
 * @param previous the blocks of a shorter version of the same text: unchanged ones are returned as the same objects,
 * so that drawing a growing answer touches only its end.
 */
export function parseMarkdown(source: string, previous: Block[] = []): Block[] {
  const blocks = parseBlocks(source.replace(/\r\n?/g, '\n').split('\n'), 0)
  return blocks.map((block, index) => {
    const before = previous[index]
    return before && before.source === block.source && before.kind === block.kind ? before : block
  })
}

function parseBlocks(lines: string[], depth: number): Block[] {
  const blocks: Block[] = []
  let at = 0
  while (at < lines.length) {
    if (lines[at]!.trim() === '') {
      at += 1
      continue
    }
    const { block, next } = readBlock(lines, at, depth)
    blocks.push(block)
    at = next
  }
  return blocks
}

interface Read {
  block: Block
  next: number
}

function readBlock(lines: string[], at: number, depth: number): Read {
  return (
    readFence(lines, at) ??
    readHeading(lines, at) ??
    readRule(lines, at) ??
    (depth < maxDepth ? (readQuote(lines, at, depth) ?? readList(lines, at, depth)) : null) ??
    readTable(lines, at) ??
    readParagraph(lines, at)
  )
}

const joined = (lines: string[], from: number, to: number): string => lines.slice(from, to).join('\n')
const indentOf = (line: string): number => line.length - line.trimStart().length

function readFence(lines: string[], at: number): Read | null {
  const open = /^\s{0,12}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/.exec(lines[at]!)
  if (!open) return null
  const fence = open[1]!
  const indent = indentOf(lines[at]!)
  let end = at + 1
  while (end < lines.length && !closesFence(lines[end]!, fence)) end += 1
  const text = lines.slice(at + 1, end).map((line) => line.slice(Math.min(indent, indentOf(line))))
  const next = Math.min(lines.length, end + 1)
  const language = open[2]!.slice(0, 40)
  return { block: { kind: 'code', language, text: text.join('\n'), source: joined(lines, at, next) }, next }
}

function closesFence(line: string, fence: string): boolean {
  const trimmed = line.trim()
  return trimmed.length >= fence.length && trimmed === fence[0]!.repeat(trimmed.length)
}

function readHeading(lines: string[], at: number): Read | null {
  const match = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/.exec(lines[at]!)
  if (!match) return null
  const text = (match[2] ?? '').trim().replace(/(^|\s)#{1,6}$/, '')
  const block: Block = {
    kind: 'heading',
    level: match[1]!.length,
    children: parseInline(text.trim()),
    source: lines[at]!,
  }
  return { block, next: at + 1 }
}

function isRule(line: string): boolean {
  const marks = line.replace(/[ \t]/g, '')
  return marks.length >= 3 && '-*_'.includes(marks[0]!) && marks === marks[0]!.repeat(marks.length)
}

function readRule(lines: string[], at: number): Read | null {
  if (!isRule(lines[at]!)) return null
  return { block: { kind: 'rule', source: lines[at]! }, next: at + 1 }
}

function readQuote(lines: string[], at: number, depth: number): Read | null {
  if (!/^ {0,3}>/.test(lines[at]!)) return null
  let end = at
  while (end < lines.length && /^ {0,3}>/.test(lines[end]!)) end += 1
  const inside = lines.slice(at, end).map((line) => line.trimStart().replace(/^> ?/, ''))
  return {
    block: { kind: 'quote', children: parseBlocks(inside, depth + 1), source: joined(lines, at, end) },
    next: end,
  }
}

interface Marker {
  indent: number
  /** Where the text of the item begins. */
  content: number
  /** The number of an ordered item; null for a bullet. */
  number: number | null
}

function readMarker(line: string): Marker | null {
  if (isRule(line)) return null
  const match = /^([ \t]{0,40})([-*+•]|(\d{1,9})[.)])(?:[ \t]+|$)/.exec(line)
  if (!match) return null
  const afterMark = match[1]!.length + match[2]!.length
  return {
    indent: match[1]!.length,
    content: Math.min(match[0].length, afterMark + 4),
    number: match[3] === undefined ? null : Number(match[3]),
  }
}

function readList(lines: string[], at: number, depth: number): Read | null {
  const first = readMarker(lines[at]!)
  if (!first) return null
  const items: Block[][] = []
  let next = at
  let end = at
  while (next < lines.length) {
    const marker = readMarker(lines[next]!)
    if (!marker || (marker.number === null) !== (first.number === null)) break
    // Models indent nested lists by two, three or four; only a clear step to the left ends this one.
    if (marker.indent + 1 < first.indent) break
    const item = readItem(lines, next, marker)
    items.push(parseBlocks(item.lines, depth + 1))
    end = item.next
    next = end
    while (next < lines.length && lines[next]!.trim() === '') next += 1
  }
  return { block: { kind: 'list', start: first.number, items, source: joined(lines, at, end) }, next: end }
}

/** The lines of one item with their indent taken off: indented ones, and text that runs on without a blank line. */
function readItem(lines: string[], at: number, marker: Marker): { lines: string[]; next: number } {
  const inside = [lines[at]!.slice(marker.content)]
  let end = at + 1
  let next = end
  while (next < lines.length) {
    const line = lines[next]!
    const blank = line.trim() === ''
    const indented = indentOf(line) >= marker.indent + 2
    const runsOn = next === end && !indented && !startsBlock(line)
    if (!blank && !indented && !runsOn) break
    inside.push(line.slice(Math.min(indentOf(line), marker.content)))
    next += 1
    if (!blank) end = next
  }
  // Trailing blank lines belong to what follows.
  return { lines: inside.slice(0, end - at), next: end }
}

/** Would this line end a paragraph that has no blank line after it? */
function startsBlock(line: string): boolean {
  return /^ {0,3}(?:#{1,6}(?:\s|$)|>|```|~~~)/.test(line) || isRule(line) || readMarker(line) !== null
}

function readTable(lines: string[], at: number): Read | null {
  if (!lines[at]!.includes('|') || at + 1 >= lines.length) return null
  const header = splitCells(lines[at]!)
  const rules = splitCells(lines[at + 1]!)
  if (rules.length !== header.length || !rules.every((cell) => /^:?-+:?$/.test(cell))) return null
  let end = at + 2
  const rows: Inline[][][] = []
  while (end < lines.length && lines[end]!.includes('|') && lines[end]!.trim() !== '') {
    const cells = splitCells(lines[end]!)
    rows.push(header.map((_, column) => parseInline(cells[column] ?? '')))
    end += 1
  }
  const block: Block = {
    kind: 'table',
    align: rules.map(alignOf),
    header: header.map(parseInline),
    rows,
    source: joined(lines, at, end),
  }
  return { block, next: end }
}

function alignOf(rule: string): Align {
  const left = rule.startsWith(':')
  const right = rule.endsWith(':')
  if (left && right) return 'center'
  return right ? 'right' : left ? 'left' : null
}

/** Cells between `|`; a `\|` and a `|` in code belong to the cell. */
function splitCells(line: string): string[] {
  const cells: string[] = []
  let cell = ''
  let inCode = false
  const text = line.trim()
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '`') inCode = !inCode
    if (character === '\\' && text[at + 1] === '|') {
      cell += '|'
      at += 1
    } else if (character === '|' && !inCode) {
      cells.push(cell.trim())
      cell = ''
    } else {
      cell += character
    }
  }
  cells.push(cell.trim())
  if (text.startsWith('|')) cells.shift()
  if (text.endsWith('|') && cells.at(-1) === '') cells.pop()
  return cells.slice(0, maxColumns)
}

function readParagraph(lines: string[], at: number): Read {
  let end = at + 1
  while (end < lines.length && lines[end]!.trim() !== '' && !interrupts(lines, end)) end += 1
  const source = joined(lines, at, end)
  return { block: { kind: 'paragraph', children: parseInline(source.trim()), source }, next: end }
}

/** A numbered line ends a paragraph only as 1: "in\n1998. It was" is prose. */
function interrupts(lines: string[], at: number): boolean {
  const marker = readMarker(lines[at]!)
  if (marker) return marker.number === null || marker.number === 1
  return startsBlock(lines[at]!) || readTable(lines.slice(at, at + 2), 0) !== null
}
