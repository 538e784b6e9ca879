import { expect, it } from 'vitest'
import { MemoryStorage } from './memory-storage.ts'
import { checkMaxTokens, checkTemperature, defaults, loadSettings, saveSettings } from './settings.ts'

it('takes numbers in range, an empty field as unset, and names what is wrong with the rest', () => {
  expect(checkTemperature('')).toEqual({ value: null, problem: null })
  expect(checkTemperature(' 0,7 ')).toEqual({ value: 0.7, problem: null })
  for (const wrong of ['-1', '2.1', 'warm', 'NaN', 'Infinity', '1e400']) {
    expect(checkTemperature(wrong)).toEqual({ value: null, problem: 'A number from 0 to 2.' })
  }
  expect(checkMaxTokens('256').value).toBe(256)
  for (const wrong of ['0', '-5', '1.5', '1e9'])
    expect(checkMaxTokens(wrong).problem).toContain('whole number')
})

it('comes back as it was kept, and as the defaults when what is kept is damaged', () => {
  const storage = new MemoryStorage()
  expect(loadSettings(storage)).toEqual(defaults)
  const mine = { system: 'Be brief.', temperature: 0, maxTokens: 99, model: 'm' }
  saveSettings(storage, mine)
  expect(loadSettings(storage)).toEqual(mine)
  storage.setItem('holon.settings', '{"temperature":99,"system":3,"maxTokens":"x"}')
  expect(loadSettings(storage)).toEqual(defaults)
  storage.setItem('holon.settings', '{')
  expect(loadSettings(storage)).toEqual(defaults)
  expect(loadSettings(null)).toEqual(defaults)
})
