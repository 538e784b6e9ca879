/** What the person chose for their chats: kept in this browser, checked before it is used. */
import { isRecord } from './api.ts'

export interface Settings {
  system: string
  /** Null leaves it to the model. */
  temperature: number | null
  maxTokens: number | null
  /** The model last chosen; null for the best one at hand. */
  model: string | null
}

export const defaults: Settings = { system: '', temperature: null, maxTokens: null, model: null }
export const maxSystemChars = 20_000
const key = 'holon.settings'

export type Checked = { value: number | null; problem: null } | { value: null; problem: string }

/** An empty field means "leave it to the model". */
export function checkTemperature(text: string): Checked {
  return checkNumber(text, (value) => value >= 0 && value <= 2, 'A number from 0 to 2.')
}

export function checkMaxTokens(text: string): Checked {
  return checkNumber(
    text,
    (value) => Number.isInteger(value) && value >= 1 && value <= 1_000_000,
    'A whole number from 1 to 1000000.',
  )
}

function checkNumber(text: string, fits: (value: number) => boolean, problem: string): Checked {
  const trimmed = text.trim().replace(',', '.')
  if (trimmed === '') return { value: null, problem: null }
  const value = Number(trimmed)
  return Number.isFinite(value) && fits(value) ? { value, problem: null } : { value: null, problem }
}

export function loadSettings(storage: Storage | null): Settings {
  try {
    const kept: unknown = JSON.parse(storage?.getItem(key) ?? 'null')
    if (!isRecord(kept)) return { ...defaults }
    return {
      system: typeof kept.system === 'string' ? kept.system.slice(0, maxSystemChars) : '',
      temperature: checkTemperature(String(kept.temperature ?? '')).value,
      maxTokens: checkMaxTokens(String(kept.maxTokens ?? '')).value,
      model: typeof kept.model === 'string' ? kept.model : null,
    }
  } catch {
    return { ...defaults }
  }
}

export function saveSettings(storage: Storage | null, settings: Settings): void {
  try {
    storage?.setItem(key, JSON.stringify(settings))
  } catch {
    // A full or forbidden storage: the settings hold until the page closes.
  }
}
