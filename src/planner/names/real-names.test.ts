import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseModelName } from './parse-model-name.ts'

const rows = readFileSync(new URL('./real-names.tsv', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split('\t') as [name: string, canonical: string, quant: string])

describe('real names', () => {
  test('are at least two hundred, each once', () => {
    expect(rows.length).toBeGreaterThanOrEqual(200)
    expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length)
  })

  test.each(rows)('%s is %s', (name, canonical, quant) => {
    const parsed = parseModelName(name)
    expect([parsed.canonical, parsed.quant?.label ?? '-']).toEqual([canonical, quant])
  })

  test('read back from their canonical names as themselves', () => {
    for (const [name] of rows) {
      const { canonical } = parseModelName(name)
      expect(parseModelName(canonical).canonical, name).toBe(canonical)
    }
  })

  test('keep their identity in another case of letters and as a file in a folder', () => {
    for (const [name, canonical] of rows) {
      expect(parseModelName(name.toUpperCase()).canonical, name).toBe(canonical)
      if (!name.includes('/') && !name.includes(':')) {
        const file = name.endsWith('.gguf') ? name : `${name}.gguf`
        expect(parseModelName(`/srv/models/${file}`).canonical, name).toBe(canonical)
      }
    }
  })
})
