import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { accuracyPage, readmeTables } from './accuracy-page.ts'

it('wrote the accuracy page and the README from the report that is kept beside them', () => {
  const report = JSON.parse(readFileSync('calibration/report.json', 'utf8'))
  expect(readFileSync('docs/reference/accuracy.md', 'utf8')).toBe(accuracyPage(report))
  expect(readFileSync('README.md', 'utf8')).toContain(readmeTables(report))
})
