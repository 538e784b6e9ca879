import { HolonError } from '../core/errors.ts'
import { parseQuant } from './quant-mix.ts'
import type { Tenant } from './scenarios.ts'

/** What shares a machine's memory, in words: "4x qwen3-4b:Q4_K_M@8192" is models, "postgres=8gb" a service. */

const wrong = (text: string, why: string): HolonError =>
  new HolonError('invalid_parameter', `"${text}" ${why}.`, {
    param: 'mix',
    hint: 'Write [COUNTx ]MODEL[:QUANT][@CONTEXT], for example "4x qwen3-4b:Q4_K_M@8192", or SERVICE=GB, for example postgres=8gb.',
  })

/** @throws HolonError invalid_parameter for a count, context or memory that is zero, negative or absurd */
export function parseTenant(text: string): Tenant {
  const service = /^([^=@]+)=(.*)$/.exec(text.trim())
  if (service) {
    const gb = Number((service[2] as string).replace(/ ?gb$/i, ''))
    if (!(gb > 0 && gb <= 100_000)) throw wrong(text, 'does not give a service its memory in GB')
    return { service: (service[1] as string).trim(), memoryBytes: gb * 1e9 }
  }
  const found = /^(?:(\d+) ?x )?(.+?)(?:@(.*))?$/i.exec(text.trim())
  if (!found) throw wrong(text, 'names no model')
  const count = found[1] === undefined ? 1 : Number(found[1])
  if (count < 1 || count > 10_000) throw wrong(text, `asks for ${count} copies; from 1 to 10000 are possible`)
  const contextTokens = found[3] === undefined ? undefined : Number(found[3])
  if (contextTokens !== undefined && !(Number.isInteger(contextTokens) && contextTokens > 0))
    throw wrong(text, 'gives a context that is no whole number of tokens')
  const name = found[2] as string
  const at = name.lastIndexOf(':')
  const quant = at > 0 && parseQuant(name.slice(at + 1)) ? name.slice(at + 1) : undefined
  return { model: quant ? name.slice(0, at) : name, quant, contextTokens, count }
}
