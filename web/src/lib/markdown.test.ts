import { describe, expect, it } from 'vitest'
import { type Block, parseMarkdown } from './markdown.ts'
import { type Inline, parseInline, safeHref } from './markdown-inline.ts'

/** The tree in one line, to read in a test. */
function show(inlines: Inline[]): string {
  return inlines
    .map((inline) => {
      if (inline.kind === 'text') return inline.text
      if (inline.kind === 'break') return '⏎'
      if (inline.kind === 'code') return `code(${inline.text})`
      const name = inline.kind === 'link' ? `link<${inline.href}>` : inline.kind
      return `${name}(${show(inline.children)})`
    })
    .join('')
}
const inline = (text: string) => show(parseInline(text))

function showBlocks(blocks: Block[]): unknown[] {
  return blocks.map((block) => {
    if (block.kind === 'paragraph') return show(block.children)
    if (block.kind === 'heading') return `h${block.level} ${show(block.children)}`
    if (block.kind === 'code') return `${block.language}: ${block.text}`
    if (block.kind === 'rule') return '---'
    if (block.kind === 'quote') return { quote: showBlocks(block.children) }
    if (block.kind === 'list') return { list: block.start, items: block.items.map(showBlocks) }
    return {
      align: block.align,
      header: block.header.map(show),
      rows: block.rows.map((row) => row.map(show)),
    }
  })
}
const blocks = (text: string) => showBlocks(parseMarkdown(text))

describe('inside a paragraph', () => {
  it.each([
    ['plain text', 'plain text'],
    ['a **b** c', 'a strong(b) c'],
    ['*a* _b_ __c__ ~~d~~', 'em(a) em(b) strong(c) del(d)'],
    ['***both***', 'em(strong(both))'],
    ['**bold *and em* in**', 'strong(bold em(and em) in)'],
    ['2 * 3 * 4 and a*b', '2 * 3 * 4 and a*b'],
    ['snake_case_name and __init__.py', 'snake_case_name and strong(init).py'],
    ['an **unclosed end', 'an **unclosed end'],
    ['`a*b*` and ``x ` y``', 'code(a*b*) and code(x ` y)'],
    ['a ` lonely tick', 'a ` lonely tick'],
    ['one\ntwo  \nthree', 'one⏎two⏎three'],
    ['\\*not\\* em, a\\b', '*not* em, a\\b'],
    ['\\(x\\) and \\[y\\]', '\\(x\\) and \\[y\\]'],
    ['[Holon](https://example.org/a_(b) "t")', 'link<https://example.org/a_(b)>(Holon)'],
    ['see https://example.org/x.', 'see link<https://example.org/x>(https://example.org/x).'],
    ['<https://example.org>', 'link<https://example.org/>(https://example.org)'],
    ['![cat](https://example.org/cat.png)', 'link<https://example.org/cat.png>(cat)'],
    ['[not a link] (really)', '[not a link] (really)'],
    ['[**bold** link](https://example.org)', 'link<https://example.org/>(strong(bold) link)'],
    ['[[x](https://a.example)](https://b.example)', 'link<https://b.example/>(x)'],
    ['hello! https', 'hello! https'],
  ])('%s', (text, tree) => {
    expect(inline(text)).toBe(tree)
  })

  it('follows no address but http, https and mailto', () => {
    for (const address of [
      'javascript:alert(1)',
      'JaVaScRiPt:alert(1)',
      'java\nscript:alert(1)',
      ' javascript:alert(1)',
      'data:text/html,<script>alert(1)</script>',
      'vbscript:x',
      'file:///etc/passwd',
      '//evil.example',
      '/fleet/v1/unload',
      'https://',
    ]) {
      expect(safeHref(address)).toBeNull()
    }
    expect(inline('[click](javascript:alert(1))')).toBe('click')
    expect(safeHref('mailto:a@example.org')).toBe('mailto:a@example.org')
  })

  it('leaves HTML as the text it is', () => {
    const attack = '<script>alert(1)</script><img src=x onerror=alert(1)>'
    expect(parseInline(attack)).toEqual([{ kind: 'text', text: attack }])
    expect(inline('a<br>b<br />c')).toBe('a⏎b⏎c')
  })
})

describe('blocks', () => {
  it('reads headings, rules, quotes and paragraphs', () => {
    expect(blocks('# One\ntext\n***\n> quoted\n> > deeper\n\n###### Six ##\n#hashtag')).toEqual([
      'h1 One',
      'text',
      '---',
      { quote: ['quoted', { quote: ['deeper'] }] },
      'h6 Six',
      '#hashtag',
    ])
  })

  it('keeps code as written, and shows a fence that is still open', () => {
    expect(blocks('```ts title\nconst a = `x`\n\n  b\n```\nafter')).toEqual([
      'ts: const a = `x`\n\n  b',
      'after',
    ])
    expect(blocks('text\n~~~\n<b>\n``` \nstill')).toEqual(['text', ': <b>\n``` \nstill'])
  })

  it('reads nested lists however they are indented', () => {
    for (const step of ['  ', '   ', '    ']) {
      expect(blocks(`1. one\n${step}- a\n${step}- b\n2. two\n   runs on\n\n3. three`)).toEqual([
        {
          list: 1,
          items: [['one', { list: null, items: [['a'], ['b']] }], ['two⏎runs on'], ['three']],
        },
      ])
    }
  })

  it('keeps code inside a list item', () => {
    expect(blocks('- run:\n\n  ```sh\n  holon up\n    x\n  ```\n- done\n\nafter')).toEqual([
      { list: null, items: [['run:', 'sh: holon up\n  x'], ['done']] },
      'after',
    ])
  })

  it('reads tables, with code and escaped bars in cells', () => {
    expect(blocks('| a | b |\n|:--|--:|\n| `x|y` | 1\\|2 |\n| short |\n\nend')).toEqual([
      {
        align: ['left', 'right'],
        header: ['a', 'b'],
        rows: [
          ['code(x|y)', '1|2'],
          ['short', ''],
        ],
      },
      'end',
    ])
    expect(blocks('a | b\nno table')).toEqual(['a | b⏎no table'])
  })

  it('does not take a year at the start of a line for a list', () => {
    expect(blocks('It was in\n1998. A good year.')).toEqual(['It was in⏎1998. A good year.'])
  })
})

describe('a growing answer', () => {
  it('returns the finished blocks as the same objects', () => {
    const text = '# T\n\nfirst paragraph\n\n- a\n- b\n\nlast'
    const before = parseMarkdown(text)
    const after = parseMarkdown(`${text} and more`, before)
    expect(after.slice(0, 3).every((block, index) => block === before[index])).toBe(true)
    expect(after[3]).not.toBe(before[3])
    expect(showBlocks(after)).toEqual(blocks(`${text} and more`))
  })

  it('never throws and loses no letter, at whatever character the text ends', () => {
    const text =
      '**a** [b](https://c.example) `d`\n\n1. e\n   - f\n\n| g | h |\n|---|---|\n| i | j |\n\n```k\nl\n```\n> m'
    for (let end = 0; end <= text.length; end++) {
      const flat = JSON.stringify(parseMarkdown(text.slice(0, end)))
      for (const letter of text.slice(0, end).match(/\b[abd-jl]\b/g) ?? []) expect(flat).toContain(letter)
    }
  })
})

describe('hostile text', () => {
  const n = 50_000
  it.each([
    ['stars', '*'.repeat(n)],
    ['star words', '*a '.repeat(n)],
    ['star under', '*a _b '.repeat(n)],
    ['closing stars', 'a* '.repeat(n)],
    ['brackets', '['.repeat(n)],
    ['bracket pairs', '[]('.repeat(n)],
    ['images', '![a'.repeat(n)],
    ['backticks', Array.from({ length: 600 }, (_, i) => '`'.repeat(i)).join('a')],
    ['tick words', '`a'.repeat(n)],
    ['quotes', `${'>'.repeat(n)}x`],
    ['nested lists', Array.from({ length: 500 }, (_, i) => `${' '.repeat(i * 2)}- x`).join('\n')],
    ['bars', `${'|'.repeat(n)}\n${'|-'.repeat(n)}`],
    ['spaces', `a${' '.repeat(n)}\nb`],
    ['hashes', `# a${' #'.repeat(n)}`],
    ['addresses', 'https://'.repeat(n)],
    ['angles', '<'.repeat(n)],
    ['lines', '\n'.repeat(n)],
    ['paragraph lines', 'a|b\n'.repeat(n)],
  ])('%s end in a shallow tree, without a hang', (_, text) => {
    expect(depthOf(parseMarkdown(text))).toBeLessThan(80)
  })
})

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Object.values(value).reduce((most: number, child) => Math.max(most, depthOf(child)), 0)
}
