import { HolonError } from '../../../core/errors.ts'

/** Typed reading of a request body; every refusal names the parameter and what it should be. */
export type Body = Record<string, unknown>

export function badParameter(param: string, message: string): HolonError {
  return new HolonError('invalid_parameter', message, { param, source: 'engine' })
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** Refuses keys the engine does not honour, by name, rather than ignoring them. */
export function refuseUnknown(body: Body, known: ReadonlySet<string>): void {
  for (const key of Object.keys(body)) {
    if (!known.has(key)) {
      throw new HolonError('unsupported_parameter', `The embedded engine does not honour "${key}".`, {
        param: key,
        source: 'engine',
      })
    }
  }
}

/** Null and absent both mean "not given", as in OpenAI's API. */
export function numberIn(body: Body, key: string, min: number, max: number): number | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw badParameter(key, `${key} must be a number from ${min} to ${max}, not ${shown(value)}.`)
  }
  return value
}

export function integerIn(body: Body, key: string, min: number, max: number): number | undefined {
  const value = numberIn(body, key, min, max)
  if (value !== undefined && !Number.isInteger(value)) {
    throw badParameter(key, `${key} must be a whole number, not ${shown(value)}.`)
  }
  return value
}

export function booleanAt(body: Body, key: string): boolean | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean')
    throw badParameter(key, `${key} must be true or false, not ${shown(value)}.`)
  return value
}

export function stringAt(body: Body, key: string): string | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw badParameter(key, `${key} must be a string, not ${shown(value)}.`)
  return value
}

export function objectAt(body: Body, key: string): Body | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw badParameter(key, `${key} must be an object, not ${shown(value)}.`)
  return value
}

export function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
