import { stripVTControlCharacters } from 'node:util'

const widthOf = (text: string): number => stripVTControlCharacters(text).length

/** Columns aligned by the widest cell; numbers (cells that start with a digit) to the right. No borders. */
export function renderTable(head: string[], rows: string[][]): string {
  const widths = head.map((cell, column) =>
    Math.max(widthOf(cell), ...rows.map((row) => widthOf(row[column] ?? ''))),
  )
  const rightAligned = head.map(
    (_, column) =>
      rows.length > 0 &&
      rows.every((row) => /^([-+~]?\d|–|$)/.test(stripVTControlCharacters(row[column] ?? ''))),
  )
  const render = (row: string[]) =>
    row
      .map((cell, column) => {
        const gap = ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell)))
        return rightAligned[column] ? gap + cell : cell + gap
      })
      .join('  ')
      .trimEnd()
  return [head, ...rows].map((row) => `${render(row)}\n`).join('')
}
