import { type Body, badParameter, isObject } from '../fields.ts'
import { GrammarBuilder, literal, separated } from './gbnf.ts'
import { integerRange } from './integer-range.ts'

/**
 * JSON Schema as a grammar, so that an answer cannot but fit. What a grammar cannot promise (patterns, `not`,
 * uniqueness) is refused by name: a schema that is followed in part is worse than an error.
 */
export class SchemaConverter {
  readonly builder = new GrammarBuilder()
  private readonly param: string
  private root: Body = {}
  private readonly references = new Map<string, string>()

  /** `param` is named in refusals. */
  constructor(param: string) {
    this.param = param
  }

  /** The name of a rule for `schema`; `$ref`s are looked up inside it. */
  convert(schema: unknown, name: string): string {
    this.root = isObject(schema) ? schema : {}
    this.references.clear()
    return this.visit(schema, name, 0)
  }

  private refuse(what: string): Error {
    return badParameter(this.param, `The JSON schema in ${this.param} ${what}.`)
  }

  private visit(schema: unknown, name: string, depth: number): string {
    const { builder } = this
    if (depth > maxDepth) throw this.refuse(`is nested deeper than ${maxDepth} levels`)
    if (builder.size > maxRules) throw this.refuse('is too large')
    if (schema === true) return builder.primitive('value')
    if (!isObject(schema)) throw this.refuse(`has ${JSON.stringify(schema)} where a schema should be`)
    for (const keyword of Object.keys(schema)) {
      if (unsupported.has(keyword)) throw this.refuse(`uses "${keyword}", which this engine cannot enforce`)
    }
    if (typeof schema.$ref === 'string') return this.reference(schema.$ref, depth)
    if ('const' in schema) return builder.add(name, literal(JSON.stringify(schema.const)))
    if ('enum' in schema) return this.enumeration(schema.enum, name)
    const choices = schema.anyOf ?? schema.oneOf
    if (choices !== undefined) return this.alternatives(choices, name, depth)
    if (schema.allOf !== undefined) return this.visit(this.merge(schema), name, depth + 1)
    if (Array.isArray(schema.type)) {
      const each = schema.type.map((type: unknown) => ({ ...schema, type }))
      return this.alternatives(each, name, depth)
    }
    return this.typed(schema, name, depth)
  }

  private typed(schema: Body, name: string, depth: number): string {
    const { builder } = this
    const type = schema.type ?? guessType(schema)
    if (type === undefined) return builder.primitive('value')
    if (type === 'object') return this.object(schema, name, depth)
    if (type === 'array') return this.array(schema, name, depth)
    if (type === 'string') return this.string(schema, name)
    if (type === 'integer') return this.integer(schema, name)
    if (type === 'number') return this.number(schema, name)
    if (type === 'boolean' || type === 'null') return builder.primitive(type)
    throw this.refuse(`has the unknown type ${JSON.stringify(type)}`)
  }

  private enumeration(values: unknown, name: string): string {
    if (!Array.isArray(values) || values.length === 0) throw this.refuse('has an enum that lists nothing')
    return this.builder.add(name, values.map((value) => literal(JSON.stringify(value))).join(' | '))
  }

  private alternatives(schemas: unknown, name: string, depth: number): string {
    if (!Array.isArray(schemas) || schemas.length === 0)
      throw this.refuse('has an empty list of alternatives')
    const rules = schemas.map((schema, index) => this.visit(schema, `${name}-${index}`, depth + 1))
    return this.builder.add(name, rules.join(' | '))
  }

  /** `allOf` as one schema: properties and requirements of all its parts. */
  private merge(schema: Body): Body {
    const { allOf, ...own } = schema
    if (!Array.isArray(allOf)) throw this.refuse('has an allOf that is no array')
    const merged: Body = { ...own }
    for (const part of allOf) {
      const resolved = isObject(part) && typeof part.$ref === 'string' ? this.lookUp(part.$ref) : part
      if (!isObject(resolved)) throw this.refuse('has an allOf that holds no schemas')
      const flat = resolved.allOf === undefined ? resolved : this.merge(resolved)
      const properties = { ...objectOf(merged.properties), ...objectOf(flat.properties) }
      const required = [...listOf(merged.required), ...listOf(flat.required)]
      Object.assign(merged, flat, { properties, required })
    }
    if (Object.keys(objectOf(merged.properties)).length === 0) delete merged.properties
    return merged
  }

  private reference(pointer: string, depth: number): string {
    const known = this.references.get(pointer)
    if (known) return known
    const target = this.lookUp(pointer)
    const name = this.builder.reserve(pointer.split('/').at(-1) ?? 'ref')
    // Named before it is visited: a schema may mention itself.
    this.references.set(pointer, name)
    this.builder.define(name, this.visit(target, `${name}-body`, depth + 1))
    return name
  }

  private lookUp(pointer: string): unknown {
    if (!pointer.startsWith('#')) throw this.refuse(`refers to ${pointer}, outside itself`)
    let at: unknown = this.root
    for (const raw of pointer.slice(1).split('/').filter(Boolean)) {
      const key = decodeURIComponent(raw).replaceAll('~1', '/').replaceAll('~0', '~')
      at = Array.isArray(at) ? at[Number(key)] : isObject(at) ? at[key] : undefined
    }
    if (at === undefined) throw this.refuse(`refers to ${pointer}, which is not there`)
    return at
  }

  /** Properties come in the schema's order; optional ones may be left out, wherever they stand. */
  private object(schema: Body, name: string, depth: number): string {
    const { builder } = this
    builder.primitive('space')
    const properties = objectOf(schema.properties)
    const required = new Set(listOf(schema.required))
    const extra = schema.additionalProperties
    for (const key of required) {
      if (!(key in properties)) properties[key] = isObject(extra) ? extra : true
    }
    const keys = Object.keys(properties)
    if (keys.length === 0) return this.map(schema, name, depth)
    if (schema.minProperties !== undefined || schema.maxProperties !== undefined) {
      throw this.refuse('counts the properties of an object that names them')
    }
    const members = keys.map((key) => {
      const value = this.visit(properties[key], `${name}-${key}`, depth + 1)
      return { required: required.has(key), text: `${literal(JSON.stringify(key))} space ":" space ${value}` }
    })
    return builder.add(name, `"{" space ${this.memberList(members, name)} "}"`)
  }

  private memberList(members: { required: boolean; text: string }[], name: string): string {
    // after[i]: members from i on when one stands before them, so that each brings its comma.
    let after = ''
    // first: members from i on when none stands before them yet.
    let first = ''
    for (const [index, member] of [...members.entries()].reverse()) {
      const rule = this.builder.add(`${name}-kv`, member.text)
      const rest = after === '' ? '' : ` ${after}`
      const begin = `${rule}${rest}`
      first = member.required ? begin : first === '' ? `(${begin})?` : `(${begin} | ${first})`
      const withComma = `space "," space ${rule}`
      const own = member.required ? `${withComma}${rest}` : `(${withComma})?${rest}`
      after = index > 0 ? this.builder.add(`${name}-rest`, own) : own
    }
    return `${first} space`
  }

  /** An object whose keys are free. */
  private map(schema: Body, name: string, depth: number): string {
    const { builder } = this
    const extra = schema.additionalProperties
    if (extra === false) return builder.add(name, '"{" space "}"')
    const value = isObject(extra) ? this.visit(extra, `${name}-value`, depth + 1) : builder.primitive('value')
    const member = builder.add(`${name}-member`, `${builder.primitive('string')} space ":" space ${value}`)
    const { min, max } = this.bounds(schema, 'minProperties', 'maxProperties')
    return builder.add(name, `"{" space ${separated(member, min, max)} "}"`)
  }

  private array(schema: Body, name: string, depth: number): string {
    const { builder } = this
    builder.primitive('space')
    const tuple = schema.prefixItems
    if (Array.isArray(tuple) && tuple.length > 0) {
      const items = tuple.map((item, index) => this.visit(item, `${name}-${index}`, depth + 1))
      return builder.add(name, `"[" space ${items.join(' space "," space ')} space "]"`)
    }
    const item = this.visit(schema.items ?? true, `${name}-item`, depth + 1)
    const { min, max } = this.bounds(schema, 'minItems', 'maxItems')
    return builder.add(name, `"[" space ${separated(item, min, max)} "]"`)
  }

  private string(schema: Body, name: string): string {
    const { builder } = this
    const format = typeof schema.format === 'string' ? formats[schema.format] : undefined
    if (format) return builder.add(`format-${schema.format}`, format)
    // Other formats are remarks, as the standard has it, and bind nobody.
    if (schema.minLength === undefined && schema.maxLength === undefined) return builder.primitive('string')
    const { min, max } = this.bounds(schema, 'minLength', 'maxLength')
    return builder.add(name, `"\\"" ${builder.primitive('char')}{${min},${max ?? ''}} "\\""`)
  }

  private integer(schema: Body, name: string): string {
    const { min, max } = this.limits(schema)
    if (min === null && max === null) return this.builder.primitive('integer')
    try {
      const low = min === null ? null : BigInt(min.exclusive ? Math.floor(min.at) + 1 : Math.ceil(min.at))
      const high = max === null ? null : BigInt(max.exclusive ? Math.ceil(max.at) - 1 : Math.floor(max.at))
      return this.builder.add(name, integerRange(low, high))
    } catch (cause) {
      throw this.refuse(`allows no integer: ${cause instanceof Error ? cause.message : cause}`)
    }
  }

  private number(schema: Body, name: string): string {
    const { builder } = this
    const { min, max } = this.limits(schema)
    builder.primitive('number')
    if (min === null && max === null) return 'number'
    if (max === null && min?.at === 0) {
      const whole = '("0" | [1-9] [0-9]{0,15})'
      if (!min.exclusive) return builder.add(name, `${whole} ("." [0-9]{1,16})?`)
      return builder.add(name, '"0." [0-9]{0,15} [1-9] | [1-9] [0-9]{0,15} ("." [0-9]{1,16})?')
    }
    throw this.refuse(
      'limits a number, which this engine can enforce only for integers and for a minimum of 0',
    )
  }

  private limits(schema: Body): Record<'min' | 'max', { at: number; exclusive: boolean } | null> {
    const one = (plain: string, exclusive: string): { at: number; exclusive: boolean } | null => {
      for (const key of [exclusive, plain]) {
        const at = schema[key]
        if (at === undefined) continue
        if (typeof at !== 'number' || !Number.isFinite(at))
          throw this.refuse(`has a ${key} that is no number`)
        return { at, exclusive: key === exclusive }
      }
      return null
    }
    return { min: one('minimum', 'exclusiveMinimum'), max: one('maximum', 'exclusiveMaximum') }
  }

  private bounds(schema: Body, minKey: string, maxKey: string): { min: number; max: number | null } {
    const read = (key: string): number | null => {
      const value = schema[key]
      if (value === undefined) return null
      const whole = typeof value === 'number' && Number.isInteger(value) && value >= 0
      if (!whole || value > maxRepetition) {
        throw this.refuse(
          `has a ${key} of ${JSON.stringify(value)}; whole numbers up to ${maxRepetition} can be enforced`,
        )
      }
      return value
    }
    const min = read(minKey) ?? 0
    const max = read(maxKey)
    if (max !== null && max < min) throw this.refuse(`has a ${maxKey} below its ${minKey}`)
    return { min, max }
  }
}

const maxDepth = 64
const maxRules = 4000
/** llama.cpp's own limit for repetitions in a grammar. */
const maxRepetition = 2000

const unsupported = new Set([
  'not',
  'if',
  'then',
  'else',
  'pattern',
  'patternProperties',
  'propertyNames',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  'contains',
  'minContains',
  'maxContains',
  'uniqueItems',
  'multipleOf',
  'unevaluatedItems',
  '$dynamicRef',
])

const date = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [1-2] [0-9] | "3" [0-1])'
const clock = '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})?'
const zone = '("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])'
const quote = '"\\""'
const formats: Record<string, string> = {
  date: `${quote} ${date} ${quote}`,
  time: `${quote} ${clock} ${zone} ${quote}`,
  'date-time': `${quote} ${date} "T" ${clock} ${zone} ${quote}`,
  uuid: `${quote} [0-9a-f]{8} ("-" [0-9a-f]{4}){3} "-" [0-9a-f]{12} ${quote}`,
}

function guessType(schema: Body): string | undefined {
  if (schema.properties !== undefined || schema.additionalProperties !== undefined) return 'object'
  if (schema.items !== undefined || schema.prefixItems !== undefined) return 'array'
  return undefined
}

function objectOf(value: unknown): Body {
  return isObject(value) ? { ...value } : {}
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : []
}
