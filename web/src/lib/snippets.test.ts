import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { snippet, snippetNames } from './snippets.ts'

const model = `it's "odd" $(id)`

it('quotes a model name for the shell so that it arrives as it is', () => {
  const command = snippet('curl', 'http://127.0.0.1:4656', model).replace('curl ', "printf '%s\\n' ")
  const lines = execFileSync('sh', ['-c', command], { encoding: 'utf8' }).trim().split('\n')
  expect(lines[0]).toBe('http://127.0.0.1:4656/v1/chat/completions')
  expect(JSON.parse(lines.at(-1)!)).toEqual({ model, messages: [{ role: 'user', content: 'Hello' }] })
})

it('names the base address and the model in both languages', () => {
  for (const name of ['Python', 'JavaScript'] as const) {
    const text = snippet(name, 'http://127.0.0.1:4656', model)
    expect(text).toContain('"http://127.0.0.1:4656/v1"')
    expect(text).toContain(JSON.stringify(model))
  }
})

it('shows where the key goes, only where the hub asks for one', () => {
  for (const name of snippetNames) {
    expect(snippet(name, 'http://127.0.0.1:4656', model, true)).toContain('YOUR_KEY')
    expect(snippet(name, 'http://127.0.0.1:4656', model)).not.toContain('YOUR_KEY')
  }
})
