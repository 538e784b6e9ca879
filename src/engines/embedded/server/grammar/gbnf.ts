type PrimitiveName =
  | 'space'
  | 'char'
  | 'string'
  | 'boolean'
  | 'null'
  | 'integer'
  | 'number'
  | 'value'
  | 'member'
  | 'object'
  | 'array'

/** Collects GBNF rules under names of their own, and knows how JSON's plain values are written. */
export class GrammarBuilder {
  private readonly rules = new Map<string, string>()
  private readonly names = new Map<string, string>()

  get size(): number {
    return this.rules.size
  }

  /** Adds a rule and returns its name; an equal rule is reused. */
  add(wish: string, body: string): string {
    const known = this.names.get(body)
    if (known) return known
    const name = this.reserve(wish)
    this.define(name, body)
    return name
  }

  /** A free name, for a rule that will be defined later because it mentions itself. */
  reserve(wish: string): string {
    const clean =
      wish
        .replace(/[^a-zA-Z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 40) || 'rule'
    let name = clean
    for (let index = 2; name === 'root' || this.rules.has(name); index++) name = `${clean}-${index}`
    this.rules.set(name, '')
    return name
  }

  define(name: string, body: string): void {
    this.rules.set(name, body)
    if (!this.names.has(body)) this.names.set(body, name)
  }

  /** One of JSON's own rules, with those it needs. */
  primitive(name: PrimitiveName): string {
    if (!this.rules.has(name)) {
      const { body, needs } = primitives[name]
      this.rules.set(name, body)
      this.names.set(body, name)
      for (const need of needs) this.primitive(need)
    }
    return name
  }

  /** The whole grammar, beginning at `root`. */
  text(root: string): string {
    const lines = [...this.rules]
      .filter(([name]) => name !== 'root')
      .map(([name, body]) => `${name} ::= ${body}`)
    return [`root ::= ${root}`, ...lines].join('\n')
  }
}

/** Whitespace is bounded: a model that may write blanks for ever sometimes does. */
const primitives: Record<PrimitiveName, { body: string; needs: PrimitiveName[] }> = {
  space: { body: '| " " | "\\n" [ \\t]{0,20}', needs: [] },
  char: { body: String.raw`[^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})`, needs: [] },
  string: { body: String.raw`"\"" char* "\""`, needs: ['char'] },
  boolean: { body: '"true" | "false"', needs: [] },
  null: { body: '"null"', needs: [] },
  integer: { body: '"-"? ("0" | [1-9] [0-9]{0,15})', needs: [] },
  number: { body: 'integer ("." [0-9]{1,16})? ([eE] [-+]? [1-9] [0-9]?)?', needs: ['integer'] },
  value: {
    body: 'object | array | string | number | boolean | null',
    needs: ['object', 'array', 'string', 'number', 'boolean', 'null'],
  },
  member: { body: 'string space ":" space value', needs: ['string', 'space', 'value'] },
  object: {
    body: '"{" space (member (space "," space member)* space)? "}"',
    needs: ['space', 'member'],
  },
  array: {
    body: '"[" space (value (space "," space value)* space)? "]"',
    needs: ['space', 'value'],
  },
}

/** Text as a GBNF literal. */
export function literal(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, '\\$&')
    .replace(/[\n\r\t]/g, (c) => ({ '\n': '\\n', '\r': '\\r' })[c] ?? '\\t')
  return `"${escaped}"`
}

/** A list of `item` separated by commas, from `min` to `max` of them, with blanks inside its brackets. */
export function separated(item: string, min: number, max: number | null): string {
  if (max === 0) return ''
  const more = `(space "," space ${item})`
  const [least, most] = [Math.max(0, min - 1), max === null ? '' : String(max - 1)]
  const rest = most === '0' ? '' : ` ${more}{${least},${most}}`
  const list = `${item}${rest} space`
  return min === 0 ? `(${list})?` : list
}
