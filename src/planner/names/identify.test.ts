import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { identify, type ModelEvidence } from './identify.ts'

const of = (evidence: Partial<ModelEvidence>) => identify({ id: 'model', ...evidence })

describe('the identity of a file', () => {
  test('comes from its header when its name says less', () => {
    const naming = { name: 'Mistral 7B Instruct v0.3', finetune: 'Instruct', version: 'v0.3' }
    const found = of({ path: '/m/mistral-7b.Q4_K_M.gguf', naming, quant: 'Q4_K_M' })
    expect(found).toMatchObject({ canonical: 'mistral-7b-instruct-v0.3', from: 'header' })
    expect(of({ id: 'mistral:7b', naming }).canonical).toBe('mistral-7b-instruct-v0.3')
    expect(of({ path: '/m/model.gguf', naming }).canonical).toBe('mistral-7b-instruct-v0.3')
    expect(of({ id: `sha256-${'ab'.repeat(32)}`, naming }).canonical).toBe('mistral-7b-instruct-v0.3')
  })

  test('comes from the parts of the name when the header keeps no whole one', () => {
    const naming = { name: 'Model', basename: 'Qwen2.5', sizeLabel: '7B', finetune: 'Instruct' }
    expect(of({ path: '/m/q.gguf', id: 'model', source: null, naming }).canonical).toBe('q')
    expect(of({ path: '/m/model.gguf', naming }).canonical).toBe('qwen2.5-7b-instruct')
  })

  test('is not taken from a header that kept the name of a fine-tune’s base', () => {
    const naming = { name: 'Meta Llama 3.1 8B Instruct', finetune: 'Instruct' }
    expect(of({ path: '/m/Finance-Llama-3.1-8B-Instruct-Q4_K_M.gguf', naming }).canonical).toBe(
      'finance-llama-3.1-8b-instruct',
    )
    expect(of({ path: '/m/my-assistant.gguf', naming }).canonical).toBe('my-assistant')
    expect(of({ source: 'somebody/Llama-3.1-8B-Instruct/x-Q4_0.gguf', naming }).canonical).not.toBe(
      'llama-3.1-8b-instruct',
    )
  })

  test('ignores the size that a converter computed', () => {
    const naming = { name: 'Phi 4', basename: 'phi-4', sizeLabel: '15B' }
    expect(
      of({ path: '/m/phi-4-Q4_K_M.gguf', naming, architecture: 'phi3', paramsTotal: 14.7e9 }).canonical,
    ).toBe('phi-4-14b')
  })

  test('is doubted when weights are of another size or architecture than the name says', () => {
    const name = { path: '/m/Qwen2.5-7B-Instruct-Q4_K_M.gguf' }
    expect(of({ ...name, paramsTotal: 7.6e9, architecture: 'qwen2' }).canonical).toBe('qwen2.5-7b-instruct')
    expect(of({ ...name, paramsTotal: 1.2e9, architecture: 'qwen2' }).canonical).toBe(
      'qwen2.5-7b-instruct~1.2b',
    )
    expect(of({ ...name, paramsTotal: 7.6e9, architecture: 'llama' }).canonical).toBe(
      'qwen2.5-7b-instruct~llama',
    )
  })

  test('is doubted for a merge that goes by the name of one of its parents', () => {
    const naming = {
      name: 'Llama 3.1 8B Instruct',
      baseModels: ['Llama 3.1 8B Instruct', 'Hermes 3 Llama 3.1 8B'],
    }
    expect(of({ path: '/m/Llama-3.1-8B-Instruct.gguf', naming }).canonical).toBe(
      'llama-3.1-8b-instruct~merge',
    )
  })

  test('is the weights alone when nobody says what they are', () => {
    const one = of({ id: 'model', path: '/a/model.gguf', weightsId: 'gguf-0011' })
    const other = of({ id: 'model', path: '/b/model.gguf', weightsId: 'gguf-2233' })
    expect(one.canonical).toBe('unnamed~gguf0011')
    expect(other.canonical).not.toBe(one.canonical)
  })

  test('takes the quant from the header, and its finer name from the file', () => {
    expect(of({ path: '/m/Qwen3-8B-UD-Q4_K_XL.gguf', quant: 'Q4_K_M' }).quant?.label).toBe('UD-Q4_K_XL')
    expect(of({ path: '/m/Qwen3-8B-Q8_0.gguf', quant: 'Q4_K_M' }).quant?.label).toBe('Q4_K_M')
    expect(of({ id: 'llama3.1:8b', quant: 'Q4_K_M' }).quant?.label).toBe('Q4_K_M')
  })

  test('never throws, whatever a node says', () => {
    const text = fc.option(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), { nil: null })
    const naming = fc.record({ name: text, basename: text, sizeLabel: text, finetune: text, version: text })
    const evidence = fc.record({
      id: fc.string(),
      path: text,
      source: text,
      naming,
      quant: text,
      architecture: text,
      weightsId: text,
    })
    fc.assert(
      fc.property(evidence, fc.option(fc.double({ min: 0 }), { nil: null }), (said, paramsTotal) => {
        expect(identify({ ...said, paramsTotal }).canonical).not.toBe('')
      }),
    )
  })
})
