import { expect, it } from 'vitest'
import { assignIds, friendlyId } from './model-ids.ts'

const model = (path: string, name: string | null = null, quant: string | null = null) => ({
  path,
  name,
  quant,
})

it('takes the name from the file, without ending and part number', () => {
  expect(friendlyId(model('/m/Qwen2.5-7B-Instruct-Q4_K_M.gguf'))).toBe('Qwen2.5-7B-Instruct-Q4_K_M')
  expect(friendlyId(model('/m/Big-Q8_0-00001-of-00004.gguf'))).toBe('Big-Q8_0')
  expect(friendlyId(model('/m/My model (final).gguf'))).toBe('My-model-final')
})

it('asks the header when the file name says nothing', () => {
  expect(friendlyId(model('/m/model.gguf', 'Tiny Llama', 'Q4_0'))).toBe('Tiny-Llama-Q4_0')
  expect(friendlyId(model('/m/ggml-model-q4_0.gguf', 'Tiny', 'Q4_0'))).toBe('Tiny-Q4_0')
  expect(friendlyId(model('/m/model.gguf'))).toBe('model')
})

it('gives every model its own name, in any case of letters', () => {
  const ids = assignIds(
    [model('/hf/a/r/M.gguf'), model('/hf/b/r/m.gguf'), model('/hf/b/s/M.gguf')],
    new Map(),
    new Set(),
  )
  expect([...ids.values()]).toEqual(['M', 'm-b', 'M-2'])
})

it('keeps a name once given, when another model of that name comes first in the folder', () => {
  const before = assignIds([model('/hf/b/r/M.gguf')], new Map(), new Set())
  const after = assignIds([model('/hf/a/r/M.gguf'), model('/hf/b/r/M.gguf')], before, new Set())
  expect(after.get('/hf/b/r/M.gguf')).toBe('M')
  expect(after.get('/hf/a/r/M.gguf')).toBe('M-a')
})

it('leaves reserved names alone', () => {
  expect([
    ...assignIds([model('/x/y/holon-demo.gguf')], new Map(), new Set(['holon-demo'])).values(),
  ]).not.toContain('holon-demo')
})
