import { expect, it } from 'vitest'
import { chips, links, models, nearest, prices, quants } from './index.ts'
import { chipFact, linkFact, modelFact, priceFact, quantFact } from './schema.ts'

const tables = [
  ['chips', chips, chipFact],
  ['links', links, linkFact],
  ['models', models, modelFact],
  ['quants', quants, quantFact],
  ['prices', prices, priceFact],
] as const

it.each(tables)('every entry of %s has the shape, a source and sane figures', (_name, entries, schema) => {
  for (const entry of entries) {
    const parsed = schema.safeParse(entry)
    expect(parsed.success, `${entry.id}: ${parsed.error?.message}`).toBe(true)
  }
})

it.each(tables)('no two entries of %s share an id', (_name, entries) => {
  expect(new Set(entries.map((entry) => entry.id)).size).toBe(entries.length)
})

it('an entry without a source or with an absurd bandwidth is refused', () => {
  const { source: _source, ...without } = chips[0]!
  expect(chipFact.safeParse(without).success).toBe(false)
  expect(chipFact.safeParse({ ...chips[0], memory_bandwidth_gb_s: 1e9 }).success).toBe(false)
})

it('every entry marked unverified says what is missing', () => {
  for (const entry of [...chips, ...models]) {
    if (entry.unverified) expect(entry.missing, entry.id).toBeTruthy()
  }
})

it('the nearest names to a misspelt chip come first', () => {
  const ids = chips.map((chip) => chip.id)
  expect(nearest('m3-ultre-80c', ids)[0]).toBe('m3-ultra-80c')
  expect(nearest('zzzzzz', ids)).toEqual([])
})
