import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { parsePullSpec } from './pull-spec.ts'

const parse = (text: string) => parsePullSpec(text, '/work')
const hf = (repo: string, quant: string | null = null, file: string | null = null) => ({
  kind: 'hugging-face',
  repo,
  quant,
  file,
})

it('reads a repository, with a quant or a file, however it is written', () => {
  expect(parse('o/r')).toEqual(hf('o/r'))
  expect(parse('hf://o/r')).toEqual(hf('o/r'))
  expect(parse('hf:o/r:Q8_0')).toEqual(hf('o/r', 'Q8_0'))
  expect(parse('Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M')).toEqual(hf('Qwen/Qwen2.5-7B-Instruct-GGUF', 'Q4_K_M'))
  expect(parse('o/r/sub/m.gguf')).toEqual(hf('o/r', null, 'sub/m.gguf'))
  expect(parse('https://huggingface.co/o/r')).toEqual(hf('o/r'))
  expect(parse('https://huggingface.co/o/r/blob/main/a/m.gguf')).toEqual(hf('o/r', null, 'a/m.gguf'))
})

it('takes for a path only what looks like one', () => {
  expect(parse('./m.gguf')).toEqual({ kind: 'file', path: resolve('/work/m.gguf') })
  expect(parse('m.gguf')).toEqual({ kind: 'file', path: resolve('/work/m.gguf') })
  expect(parse('sub/m.gguf')).toEqual({ kind: 'file', path: resolve('/work/sub/m.gguf') })
  expect(parse('/abs/m.gguf')).toEqual({ kind: 'file', path: '/abs/m.gguf' })
  expect(parse('~/m.gguf')).toEqual({ kind: 'file', path: join(homedir(), 'm.gguf') })
})

it('takes plain http from private networks only', () => {
  expect(parse('https://host/m.gguf')).toMatchObject({ kind: 'url' })
  expect(parse('http://192.168.1.4:8000/m.gguf')).toMatchObject({ kind: 'url' })
  expect(parse('http://nas.local/m.gguf')).toMatchObject({ kind: 'url' })
  expect(() => parse('http://example.com/m.gguf')).toThrow('unencrypted')
})

it('refuses the rest with examples, and never lets a name climb out of its folder', () => {
  for (const text of [
    '',
    'model',
    'o/r/../../x.gguf',
    '../..',
    'o/..',
    'hf://o',
    'o/r/readme.md',
    'o/r:a/b',
    'a b/c',
  ]) {
    const thrown = (() => {
      try {
        return parse(text)
      } catch (error) {
        return error
      }
    })()
    if (text === '../..') expect(thrown).toMatchObject({ kind: 'file' })
    else expect(thrown, text).toMatchObject({ code: 'usage', hint: expect.stringMatching(/holon pull/) })
  }
})
