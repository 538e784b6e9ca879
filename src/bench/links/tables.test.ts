import { expect, test } from 'vitest'
import { columns, handText, isNear, predictedText, ratioOf } from './tables.ts'

test('a prediction is near within a fifth of what was measured, on both sides', () => {
  expect(ratioOf({ predicted: 12, measured: 10 })).toBe(1.2)
  expect(isNear({ predicted: 12, measured: 10 })).toBe(true)
  expect(isNear({ predicted: 8, measured: 10 })).toBe(true)
  expect(isNear({ predicted: 12.1, measured: 10 })).toBe(false)
  expect(isNear({ predicted: 7.9, measured: 10 })).toBe(false)
  expect(isNear({ predicted: 1, measured: 0 })).toBe(false)
})

test('columns line up, the first to the left', () => {
  expect(
    columns([
      ['a', 'long head'],
      ['longer', '1'],
    ]),
  ).toBe('a       long head\nlonger          1\n')
  expect(columns([])).toBe('')
})

test('what is not near is marked and counted, never left out', () => {
  const text = predictedText({
    rows: [
      {
        ...{ members: 1, cable: 'unshaped', link: null, layers: [12] },
        decodeTokS: { predicted: 10, measured: 10 },
        prefillTokS: { predicted: 50, measured: 100 },
        drift: { decode: 1, prefill: 2 },
      },
      {
        ...{ members: 2, cable: '1 Gbit/s', link: { MBPerS: 117.4, rttMs: 0.21 }, layers: [6, 6] },
        decodeTokS: { predicted: 9, measured: 10 },
        prefillTokS: { predicted: 100, measured: 100 },
        drift: { decode: 0.8, prefill: 0.9 },
      },
    ],
    memory: [{ members: 2, node: 'elm', bytes: { predicted: 3e8, measured: 2e8 } }],
    rounds: 3,
    learned: ['oak decodes at 0.90 of the calculated speed, by its own answers of small'],
  })
  expect(text).toMatch(/1, unshaped +12 +10\.0 +10\.0 +1\.00 +1\.00 +50\.0 +100 +0\.50 ! +2\.00\n/)
  expect(text).toMatch(
    /2, 1 Gbit\/s +117 MB\/s, 0\.21 ms +6\+6 +9\.0 +10\.0 +0\.90 +0\.80 +100 +100 +1\.00 +0\.90\n/,
  )
  expect(text).toMatch(/2, elm +300 +200 +1\.50 !/)
  expect(text).toContain('\noak decodes at 0.90 of the calculated speed, by its own answers of small\n')
  expect(text).toContain('3 of 5 within 20 %')
  // 10, 100, 7.2 and 90 against 10, 100, 10 and 100.
  expect(text).toContain('at that speed 3 of 4 speeds are within 20 %')
})

test('by hand: a load is of the group, so agents with room have none of their own', () => {
  const speeds = { decodeTokS: 10, prefillTokS: 40, computing: 0.9 }
  const text = handText([
    {
      ...{ cable: '1 Gbit/s', managed: { loadS: 9, ...speeds }, roomy: speeds },
      byHand: { loadS: 12, decodeTokS: 11, prefillTokS: 41, computing: 0.99 },
      ratio: {
        managed: { loadS: 1.33, decodeTokS: 0.91, prefillTokS: 0.98, computing: 0.91 },
        roomy: { decodeTokS: 0.95, prefillTokS: 0.99, computing: 0.96 },
      },
    },
  ])
  expect(text).toMatch(/1 Gbit\/s, by hand +12\.00 s +11\.00 +0\.99 +41\.00\n/)
  expect(text).toMatch(/1 Gbit\/s, managed, agents with room +10\.00 +0\.90 +40\.00\n/)
  expect(text).toMatch(/larger is better +1\.33 +0\.91 +0\.91 +0\.98\n/)
})
