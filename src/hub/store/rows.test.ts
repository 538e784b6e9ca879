import { expect, test } from 'vitest'
import { aRecord } from '../../../test/hub/records.ts'
import { eventLine, idOf, usageLine, wholeLines } from './rows.ts'

const event = { time: 1, type: 'x', data: {} }

test('a line is the record with its id in front', () => {
  const line = usageLine('u_1', aRecord({ model: 'a "quoted" name' }))
  expect(JSON.parse(line)).toEqual({
    usage: 'u_1',
    ...aRecord({ model: 'a "quoted" name', time: expect.any(Number) }),
  })
  expect(JSON.parse(eventLine('u_2', event))).toEqual({ event: 'u_2', ...event })
  expect(idOf(line)).toBe('u_1')
})

test('a torn line, as a kill leaves one, costs only itself', () => {
  const line = eventLine('a', event)
  const torn = usageLine('b', aRecord()).slice(0, 40)
  expect(wholeLines(`${line}\n${torn}\n${line}`)).toEqual({ lines: [line, line], torn: 1 })
})

test('what is no line of a journal is left out', () => {
  expect(wholeLines('{}\n\nnull\n{"usage":7}')).toEqual({ lines: [], torn: 3 })
})

test('lines of a journal as they were first written are read too', () => {
  const row = aRecord()
  const lines = [
    JSON.stringify({ kind: 'usage', id: 'a', row }),
    JSON.stringify({ kind: 'event', id: 'b', row: event }),
    '{"kind":"usage","id":"c","ro',
  ]
  expect(wholeLines(lines.join('\n'))).toEqual({
    lines: [usageLine('a', row), eventLine('b', event)],
    torn: 1,
  })
})
