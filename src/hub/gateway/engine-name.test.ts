import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { withModelName } from './engine-name.ts'

const rename = (text: string, name: string) =>
  withModelName(Buffer.from(text), (JSON.parse(text) as { model: string }).model, name).toString()

describe('the name an engine knows a model by', () => {
  test('leaves the very same bytes when the names are the same', () => {
    const body = Buffer.from('{ "model" : "a" }')
    expect(withModelName(body, 'a', 'a')).toBe(body)
  })

  test('replaces the name and no other byte', () => {
    expect(
      rename('{ "messages":[{"model":"no","content":"\\"model\\":\\"a\\""}], "model" : "a" , "n":1}', 'b:c'),
    ).toBe('{ "messages":[{"model":"no","content":"\\"model\\":\\"a\\""}], "model" : "b:c" , "n":1}')
  })

  test('takes the last of two, as every JSON parser does, and a key written in escapes', () => {
    expect(JSON.parse(rename('{"model":"x","model":"a"}', 'b'))).toEqual({ model: 'b' })
    expect(JSON.parse(rename('{"mod\\u0065l":"a","x":"model"}', 'b'))).toEqual({ model: 'b', x: 'model' })
  })

  test('changes the model and nothing else in any request', () => {
    const anything = fc.dictionary(
      fc
        .oneof(fc.string(), fc.constantFrom('model', 'messages', 'models'))
        .filter((key) => key !== '__proto__'),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(anything, fc.string(), fc.string(), fc.boolean(), (rest, asked, name, first) => {
        const { model: _, ...others } = rest
        const request = first ? { model: asked, ...others } : { ...others, model: asked }
        const text = JSON.stringify(request, null, first ? 1 : undefined)
        expect(JSON.parse(withModelName(Buffer.from(text), asked, name).toString())).toEqual(
          JSON.parse(JSON.stringify({ ...request, model: name })),
        )
      }),
    )
  })
})
