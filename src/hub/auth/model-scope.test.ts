import { expect, test } from 'vitest'
import { canonicalName, ModelScope } from './model-scope.ts'

test.each([
  [['qwen*'], 'qwen2.5-7b-instruct', 'Qwen2.5-7B-Q4', true],
  [['qwen*'], 'llama-3.1-8b', 'my-qwen', false],
  [['*-7b-*'], 'qwen2.5-7b-instruct', 'x', true],
  [['*'], 'anything', 'x', true],
  [['qwen*instruct'], 'qwen-instruct', 'x', true],
  [['qwen*instruct'], 'qwen-instruct-base', 'x', false],
  [['a*a'], 'a', 'x', false],
  [['tiny'], 'tiny', 'tiny', true],
  [['TINY'], 'tiny', 'tiny', true],
  [['Qwen2.5-7B-Q4_K_M'], 'qwen2.5-7b', 'qwen2.5-7b-q4_k_m', true],
  [['tiny', 'small'], 'large', 'large', false],
  [['tin'], 'tiny', 'tiny', false],
])('%j lets %s (%s): %s', (patterns, canonical, id, allowed) => {
  expect(new ModelScope(patterns).allows(canonical, id)).toBe(allowed)
})

test('a pattern made to be slow is not', () => {
  const scope = new ModelScope([`${'a*'.repeat(140)}b`])
  expect(scope.allows('a'.repeat(300), 'x')).toBe(false)
})

test('a name is kept as the canonical one, a pattern and an id with a quant as they are', () => {
  expect(canonicalName('Llama3.1:8b')).toBe('llama-3.1-8b-instruct')
  expect(canonicalName('Qwen*')).toBe('qwen*')
  expect(canonicalName('Qwen2.5-7B-Instruct-Q4_K_M.gguf')).toBe('Qwen2.5-7B-Instruct-Q4_K_M.gguf')
})
