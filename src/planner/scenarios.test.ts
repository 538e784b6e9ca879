import { describe, expect, it } from 'vitest'
import { bestModelFor, bestModelsFor } from './best-model.ts'
import { compare } from './compare.ts'
import { parseLink } from './link-name.ts'
import { parseMachines } from './machines.ts'
import { readRequest } from './request.ts'
import { contextSweep, longestContext, mixOn, smallestFor } from './scenarios.ts'
import { parseTenant } from './tenant.ts'

const machine = (text: string) => parseMachines(text)[0]!

describe('several tenants on one machine', () => {
  const studio = machine('m4-max-40c:128gb')

  it('adds up what each needs, and says no exactly when the sum is over the limit', () => {
    for (const count of [1, 5, 20, 60]) {
      const made = mixOn(studio, [parseTenant(`${count}x qwen3-4b:Q4_K_M@8192`), parseTenant('postgres=8gb')])
      const sum = made.parts.reduce((total, part) => total + part.count * part.bytesEach, 0)
      expect(made.usedBytes).toBe(sum)
      expect(made.fits).toBe(sum <= made.limitBytes)
    }
    expect(mixOn(studio, [parseTenant('60x qwen3-4b')]).fits).toBe(false)
  })

  it('reads models, quants, contexts and services, and refuses the absurd', () => {
    expect(parseTenant('4x qwen3-4b:Q4_K_M@8192')).toEqual({
      model: 'qwen3-4b',
      quant: 'Q4_K_M',
      contextTokens: 8192,
      count: 4,
    })
    expect(parseTenant('dense:70b')).toMatchObject({ model: 'dense:70b', quant: undefined })
    expect(parseTenant('postgres = 8gb')).toEqual({ service: 'postgres', memoryBytes: 8e9 })
    for (const text of [
      'x=0',
      'x=-3',
      'x=abc',
      '0x qwen3-4b',
      'qwen3-4b@0',
      'qwen3-4b@1.5',
      '',
      '99999x qwen3-4b',
    ])
      expect(() => parseTenant(text), text).toThrow(/"/)
  })
})

describe('the best model for a machine', () => {
  it('fits it, is fast enough where anything is, and is no smaller on more memory', () => {
    let before = 0
    for (const size of ['8gb', '16gb', '32gb', '64gb', '128gb']) {
      const one = machine(`m4-max-40c:${size}`)
      const best = bestModelFor(one)!
      expect(best.memoryBytes).toBeLessThanOrEqual(one.usable.limitBytes)
      expect(best.decodeTokS.expected).toBeGreaterThanOrEqual(10)
      expect(best.weightsBytes).toBeGreaterThanOrEqual(before)
      before = best.weightsBytes
    }
  })

  it('names different models, ablest first, and none where nothing fits', () => {
    const ids = bestModelsFor(machine('m3-ultra-80c:512gb'), { count: 4 }).map((model) => model.modelId)
    expect(new Set(ids).size).toBe(4)
    expect(bestModelFor(machine('custom:10:0.1'))).toBeNull()
  })
})

describe('contexts', () => {
  it('cost more memory and speed the longer they are, to a million tokens', () => {
    const steps = contextSweep(readRequest({ model: 'llama-3.1-8b' }), [machine('m3-ultra-80c:512gb')])
    expect(steps.at(-1)).toMatchObject({ contextTokens: 1_048_576, fits: true })
    for (let i = 1; i < steps.length; i++) {
      expect(steps[i]!.kvBytes).toBeGreaterThan(steps[i - 1]!.kvBytes)
      expect(steps[i]!.decodeTokS!).toBeLessThan(steps[i - 1]!.decodeTokS!)
    }
  })

  it('end where the longest one that fits ends', () => {
    const request = readRequest({ model: 'llama-3.1-8b' })
    const one = machine('m4-max-40c:36gb')
    const most = longestContext(request, [one])
    const fits = (contextTokens: number) => contextSweep(request, [one], [contextTokens])[0]!.fits
    expect(fits(most)).toBe(true)
    expect(fits(Math.ceil(most * 1.02))).toBe(false)
  })
})

describe('a single machine against a pool', () => {
  const links = [parseLink('tb5-rdma')!, parseLink('eth-10g')!]
  const judged = (model: string, single: string, pool: string) =>
    compare(
      readRequest({ model, quant: 'Q4_K_M', contextTokens: 4096 }),
      machine(single),
      parseMachines(pool),
      links,
    )

  it('takes the pool when the model fits no other way, and the machine when the pool cannot hold it', () => {
    expect(judged('llama-3.3-70b', 'm4-max-40c:36gb', '2x m4-max-40c:64gb')).toMatchObject({
      verdict: 'pool',
      because: 'the model fits no other way',
    })
    expect(judged('llama-3.3-70b', 'm3-ultra-80c:256gb', '2x m4-10c:16gb').verdict).toBe('single')
    expect(judged('deepseek-v3.1', 'm4-10c:16gb', '2x m4-10c:16gb').verdict).toBe('neither')
  })

  it('follows its stated criteria', () => {
    for (const [single, pool] of [
      ['m3-ultra-80c:256gb', '2x m4-max-40c:64gb'],
      ['m3-ultra-80c:256gb', '4x m4-pro-20c:24gb'],
      ['m4-pro-20c:64gb', '2x m4-max-40c:64gb'],
    ] as const) {
      const made = judged('llama-3.3-70b', single, pool)
      const solo = made.options[0]!.speeds[0]!.decodeTokS!
      const best = Math.max(...made.options[1]!.speeds.map((speed) => speed.decodeTokS ?? 0))
      const lost = 1 - best / solo
      expect(made.verdict).toBe(lost > 0.5 ? 'single' : lost < 0.2 ? 'pool' : 'either')
    }
  })
})

describe('the smallest that reaches a speed', () => {
  it('reaches it, and nothing with less memory in the list does', () => {
    const offers = smallestFor(readRequest({ model: 'qwen3-32b', quant: 'Q4_K_M' }), 15)
    expect(offers.length).toBeGreaterThan(3)
    for (const offer of offers) expect(offer.placement.decodeTokS.expected).toBeGreaterThanOrEqual(15)
    expect(offers.map((offer) => offer.memoryGb)).toEqual(
      offers.map((offer) => offer.memoryGb).sort((a, b) => a - b),
    )
    for (const speed of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => smallestFor(readRequest({ model: 'qwen3-32b' }), speed)).toThrow(/above 0/)
  })
})
