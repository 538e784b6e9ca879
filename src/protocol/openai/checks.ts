/**
 * Small checks that a table of parameters is made of. A check returns when the value is right and throws a
 * HolonError naming the parameter when it is not. The right path allocates nothing: it runs for every request.
 */
import { HolonError } from '../../core/errors.ts'

/** @throws HolonError invalid_parameter */
export type Check = (value: unknown, param: string) => void

export function refuse(param: string, expected: string, value: unknown): never {
  throw new HolonError('invalid_parameter', `${param} must be ${expected}, but it is ${describe(value)}.`, {
    param,
  })
}

/** What a value is, in words, without repeating long or private content. */
export function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return value === '' ? 'an empty string' : 'a string'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  return 'an object'
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const boolean: Check = (value, param) => {
  if (typeof value !== 'boolean') refuse(param, 'true or false', value)
}

export const text: Check = (value, param) => {
  if (typeof value !== 'string') refuse(param, 'a string', value)
}

export const filledText: Check = (value, param) => {
  if (typeof value !== 'string' || value === '') refuse(param, 'a string that is not empty', value)
}

export const object: Check = (value, param) => {
  if (!isObject(value)) refuse(param, 'an object', value)
}

/** A finite number with min <= value <= max. JSON's 1e999 reads as Infinity and is refused here. */
export function numberBetween(min: number, max: number): Check {
  const expected = `a number from ${min} to ${max}`
  return (value, param) => {
    if (typeof value !== 'number' || !(value >= min && value <= max)) refuse(param, expected, value)
  }
}

export function integerBetween(min: number, max: number): Check {
  const expected = `a whole number from ${min} to ${max}`
  return (value, param) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      refuse(param, expected, value)
    }
  }
}

export function oneOf(...values: string[]): Check {
  const expected = `one of ${values.map((value) => `"${value}"`).join(', ')}`
  return (value, param) => {
    if (typeof value !== 'string' || !values.includes(value)) refuse(param, expected, value)
  }
}

/** An array of min to max items, each passing `item` (named `param[index]`). */
export function arrayOf(item: Check, min: number, max: number): Check {
  const expected = `an array of ${min} to ${max} items`
  return (value, param) => {
    if (!Array.isArray(value)) refuse(param, expected, value)
    if (value.length < min || value.length > max) {
      throw new HolonError('invalid_parameter', `${param} must be ${expected}, but it has ${value.length}.`, {
        param,
      })
    }
    for (let index = 0; index < value.length; index++) {
      const entry = value[index]
      try {
        item(entry, param)
      } catch {
        item(entry, `${param}[${index}]`)
      }
    }
  }
}

/** Passes when one of the checks does; `expected` says all of them in words. */
export function eitherOf(expected: string, ...checks: Check[]): Check {
  return (value, param) => {
    for (const check of checks) {
      try {
        check(value, param)
        return
      } catch {
        // The next alternative may take it.
      }
    }
    refuse(param, expected, value)
  }
}

/** Token ids to a bias from -100 to 100. */
export const logitBias: Check = (value, param) => {
  if (!isObject(value)) refuse(param, 'an object of token ids to numbers', value)
  const bias = numberBetween(-100, 100)
  for (const token of Object.keys(value)) {
    if (!/^\d{1,9}$/.test(token)) refuse(`${param}.${token.slice(0, 20)}`, 'named by a token id', token)
    bias(value[token], `${param}.${token}`)
  }
}

const stopString: Check = (value, param) => {
  if (typeof value !== 'string' || value === '' || value.length > 1024) {
    refuse(param, 'a string of 1 to 1024 characters', value)
  }
}
const stopStrings = arrayOf(stopString, 0, 64)
export const stop: Check = (value, param) => {
  if (typeof value === 'string') stopString(value, param)
  else stopStrings(value, param)
}
