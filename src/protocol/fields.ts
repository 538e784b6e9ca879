/** Typed reading of a foreign dialect's request. Null and absent both mean "not given"; every refusal names the field. */
import { HolonError } from '../core/errors.ts'
import { type Check, describe, isObject, refuse } from './openai/checks.ts'

export type Fields = Record<string, unknown>

/** @throws HolonError invalid_json when the body is no object */
export function bodyFields(body: unknown): Fields {
  if (isObject(body)) return body
  throw new HolonError('invalid_json', `The body must be a JSON object, but it is ${describe(body)}.`)
}

export function unsupported(param: string, why: string, hint?: string): HolonError {
  return new HolonError('unsupported_parameter', why, { param, hint: hint ?? 'Leave it out.' })
}

/** Refuses what the dialect does not know, by name: ignoring it would give an answer to another question. */
export function refuseUnknown(fields: Fields, known: ReadonlySet<string>, at = ''): void {
  for (const name in fields) {
    if (known.has(name) || fields[name] == null) continue
    const shown = at + name.slice(0, 64)
    throw new HolonError('invalid_parameter', `Unknown parameter "${shown}".`, {
      param: shown,
      hint: 'Leave it out.',
    })
  }
}

/** Refuses parameters that are known and cannot be honoured, each with its reason. Values that ask for nothing pass. */
export function refuseListed(fields: Fields, reasons: ReadonlyMap<string, string>, at = ''): void {
  for (const [name, reason] of reasons) {
    const value = fields[name]
    if (value == null || value === false || value === '') continue
    if (Array.isArray(value) && value.length === 0) continue
    throw unsupported(at + name, `${at}${name} cannot be honoured here: ${reason}.`)
  }
}

/** The value when it is given and right, else undefined. The check vouches for the type. */
export function given<T>(fields: Fields, name: string, check: Check, at = ''): T | undefined {
  const value = fields[name]
  if (value == null) return undefined
  check(value, at + name)
  return value as T
}

export function required<T>(fields: Fields, name: string, check: Check, at = ''): T {
  const value = given<T>(fields, name, check, at)
  if (value !== undefined) return value
  throw new HolonError('missing_parameter', `The parameter "${at}${name}" is missing.`, {
    param: at + name,
    hint: name === 'model' ? 'Name a model; GET /v1/models lists them.' : `Send "${at}${name}" in the body.`,
  })
}

export function objectAt(value: unknown, param: string, expected = 'an object'): Fields {
  if (!isObject(value)) refuse(param, expected, value)
  return value
}

export function arrayAt(value: unknown, param: string, expected: string): unknown[] {
  if (!Array.isArray(value)) refuse(param, expected, value)
  return value
}

/** The OpenAI part of an image given as base64. */
export function imagePart(mediaType: string, base64: string): object {
  return imageUrlPart(`data:${mediaType};base64,${base64}`)
}

export function imageUrlPart(url: string): object {
  return { type: 'image_url', image_url: { url } }
}

/** Adds to `target` what is there. */
export function put(target: Fields, values: Fields): void {
  for (const name in values) if (values[name] !== undefined) target[name] = values[name]
}

/** The name of a function in a tool: what every engine takes. */
export const functionName: Check = (value, param) => {
  if (typeof value !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(value)) {
    refuse(param, 'a name of 1 to 64 letters, digits, _ or -', value)
  }
}
