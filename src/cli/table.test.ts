import { expect, test } from 'vitest'
import { renderTable } from './table.ts'

test('columns are as wide as their widest cell and numbers stand to the right', () => {
  expect(
    renderTable(
      ['model', 'tok/s'],
      [
        ['a-long-name', '7.5'],
        ['b', '120'],
      ],
    ),
  ).toBe('model        tok/s\na-long-name    7.5\nb              120\n')
})

test('colour codes do not count as width', () => {
  expect(renderTable(['a', 'b'], [['\u001b[1mx\u001b[22m', 'y']])).toBe('a  b\n\u001b[1mx\u001b[22m  y\n')
})
