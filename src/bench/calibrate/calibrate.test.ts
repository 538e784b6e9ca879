import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { accuracyPage } from './accuracy-page.ts'

it('wrote the accuracy page from the report that is kept beside it', () => {
  const report = JSON.parse(readFileSync('calibration/report.json', 'utf8'))
  expect(readFileSync('docs/reference/accuracy.md', 'utf8')).toBe(accuracyPage(report))
})
