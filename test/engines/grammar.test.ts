import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { NativeModule } from '../../src/engines/embedded/server/binding.ts'
import { integerRange } from '../../src/engines/embedded/server/grammar/integer-range.ts'
import { SchemaConverter } from '../../src/engines/embedded/server/grammar/json-schema.ts'
import { nativeModule } from './native.ts'

let native: NativeModule
beforeAll(async () => {
  native = await nativeModule()
})

/** llama.cpp's own grammar engine says which texts fit. */
function matcher(gbnf: string): (text: string) => boolean {
  const grammar = new native.AddonGrammar(gbnf, { addonExports: native })
  return (text) => grammar.isTextCompatible(text)
}

function fits(schema: unknown): (value: unknown) => boolean {
  const converter = new SchemaConverter('response_format')
  const match = matcher(converter.builder.text(converter.convert(schema, 'answer')))
  return (value) =>
    match(typeof value === 'string' && value.startsWith('raw:') ? value.slice(4) : JSON.stringify(value))
}

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 10 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    email: { type: ['string', 'null'] },
    tags: { type: 'array', items: { enum: ['a', 'b'] }, maxItems: 2 },
  },
  required: ['name', 'email'],
  additionalProperties: false,
}

describe('a JSON schema as a grammar', () => {
  test.each<[string, unknown, unknown[], unknown[]]>([
    [
      'an integer',
      { type: 'integer' },
      [0, -5, 123456],
      [1.5, 'raw:5E3', 'raw:566162461E534', 'raw:01', 'x', null],
    ],
    ['a number', { type: 'number' }, [0, -1.25, 1e21, 'raw:1E5'], ['raw:.5', 'raw:1.', 'raw:1e', true]],
    ['a number from 0', { type: 'number', minimum: 0 }, [0, 0.5, 12], [-1, 'raw:-0.5']],
    ['a positive number', { type: 'number', exclusiveMinimum: 0 }, [0.001, 7], [0, -1, 'raw:0.0']],
    ['a string', { type: 'string' }, ['', 'a "quoted" \\ line\nbreak', 'grün 😀'], [1, 'raw:"open']],
    ['a short string', { type: 'string', minLength: 2, maxLength: 3 }, ['ab', 'äöü'], ['a', 'abcd']],
    ['an enum', { enum: ['red', 3, null, { a: 1 }] }, ['red', 3, null, { a: 1 }], ['blue', 4, {}]],
    ['a const', { const: 'x' }, ['x'], ['y']],
    ['a union', { anyOf: [{ type: 'boolean' }, { type: 'null' }] }, [true, null], [1]],
    ['anything', {}, [1, 'a', [1, { b: [] }], null], ['raw:{a:1}', 'raw:']],
    ['an object', { type: 'object' }, [{}, { a: { b: [1] } }], [[], 1]],
    [
      'a map',
      { type: 'object', additionalProperties: { type: 'integer' } },
      [{}, { x: 1, y: 2 }],
      [{ x: 'a' }],
    ],
    ['an empty object', { type: 'object', additionalProperties: false }, [{}], [{ a: 1 }]],
    [
      'an array',
      { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 },
      [[1], [1, 2, 3]],
      [[], [1, 2, 3, 4], ['a']],
    ],
    [
      'a tuple',
      { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }] },
      [['a', 1]],
      [['a'], [1, 'a']],
    ],
    ['a date', { type: 'string', format: 'date' }, ['2026-11-21'], ['2026-13-01', 'today']],
    [
      'allOf',
      {
        allOf: [
          { properties: { a: { type: 'integer' } }, required: ['a'] },
          { properties: { b: { type: 'null' } }, required: ['b'] },
        ],
      },
      [{ a: 1, b: null }],
      [{ a: 1 }],
    ],
    [
      'a person, in order, optional properties left out anywhere',
      person,
      [
        { name: 'Ada', email: null },
        { name: 'Ada', age: 36, email: 'a@b', tags: ['a', 'b'] },
        { name: 'Ada', email: 'x', tags: [] },
        'raw:{ "name" : "Ada" , "email" : null }',
      ],
      [
        {},
        { name: 'Ada' },
        { name: '', email: null },
        { name: 'Ada', age: 151, email: null },
        { email: null, name: 'Ada' },
        { name: 'Ada', email: null, extra: 1 },
      ],
    ],
    [
      'only optional properties',
      { properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } } },
      [{}, { a: 1 }, { b: 2 }, { c: 3 }, { a: 1, c: 3 }, { a: 1, b: 2, c: 3 }],
      [{ d: 1 }, 'raw:{,}', { b: 2, a: 1 }],
    ],
  ])('%s', (_, schema, good, bad) => {
    const accepts = fits(schema)
    for (const value of good) expect([value, accepts(value)]).toEqual([value, true])
    for (const value of bad) expect([value, accepts(value)]).toEqual([value, false])
  })

  test('may refer to itself', () => {
    const accepts = fits({
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: {
            value: { type: 'integer' },
            next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
          },
          required: ['value', 'next'],
        },
      },
    })
    expect(accepts({ value: 1, next: { value: 2, next: null } })).toBe(true)
    expect(accepts({ value: 1, next: { value: 'x', next: null } })).toBe(false)
  })

  test.each<[string, unknown]>([
    ['pattern', { type: 'string', pattern: '^a' }],
    ['uniqueItems', { type: 'array', uniqueItems: true }],
    ['multipleOf', { type: 'integer', multipleOf: 2 }],
    ['limits a number', { type: 'number', maximum: 3 }],
    ['which is not there', { $ref: '#/$defs/none' }],
    ['unknown type', { type: 'date' }],
    ['allows no integer', { type: 'integer', minimum: 5, maximum: 4 }],
    ['maxLength', { type: 'string', maxLength: 100000 }],
  ])('that it cannot enforce is refused by name: %s', (what, schema) => {
    expect(() => fits(schema)).toThrow(what)
  })

  test('nested without end is refused instead of overflowing', () => {
    let schema: unknown = { type: 'string' }
    for (let depth = 0; depth < 200; depth++) schema = { type: 'array', items: schema }
    expect(() => fits(schema)).toThrow('nested deeper')
  })
})

describe('a range of integers as a grammar', () => {
  test('holds exactly the numbers from its minimum to its maximum', () => {
    const bound = fc.oneof(fc.integer({ min: -1200, max: 1200 }), fc.constant(null))
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.array(fc.integer({ min: -1300, max: 1300 }), { maxLength: 20 }),
        (a, b, samples) => {
          const [min, max] = a !== null && b !== null && a > b ? [b, a] : [a, b]
          const match = matcher(
            `root ::= ${integerRange(min === null ? null : BigInt(min), max === null ? null : BigInt(max))}`,
          )
          const edges = [min, max].flatMap((edge) => (edge === null ? [] : [edge - 1, edge, edge + 1]))
          for (const value of [...samples, ...edges]) {
            const inside = (min === null || value >= min) && (max === null || value <= max)
            expect([min, max, value, match(String(value))]).toEqual([min, max, value, inside])
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
