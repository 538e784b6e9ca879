import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { placementDetails, splitPrefill } from './details.ts'
import { disaggregated } from './disaggregated.ts'
import { throughput } from './in-flight.ts'
import { parseLink } from './link-name.ts'
import { loadTime } from './load-time.ts'
import { parseMachines } from './machines.ts'
import { pipelinePlacement, soloPlacement } from './placements.ts'
import { readRequest } from './request.ts'
import { expectedTokens, parseDraft, speculation } from './speculation.ts'

const spark = parseMachines('dgx-spark-gb10:128gb')[0]!
const studio = parseMachines('m3-ultra-80c:512gb')[0]!
const solo = (model: string, quant = 'Q4_K_M') =>
  soloPlacement(readRequest({ model, quant, contextTokens: 4096 }), studio)

/** Drafts and accepts token by token; the slow twin of the closed form. */
function simulatedTokens(tokens: number, acceptance: number, rounds = 60_000): number {
  let state = 12_345
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  let made = 0
  for (let round = 0; round < rounds; round++) {
    made++
    for (let i = 0; i < tokens && random() < acceptance; i++) made++
  }
  return made / rounds
}

/** Passes tokens through the stages one event at a time; the slow twin of the pipeline's throughput. */
function simulatedThroughput(stages: number[], requests: number, tokens = 400): number {
  const free = stages.map(() => 0)
  const ready = Array.from({ length: requests }, () => 0)
  let end = 0
  for (let made = 0; made < tokens; made++) {
    const next = ready.indexOf(Math.min(...ready))
    let at = ready[next]!
    stages.forEach((seconds, s) => {
      at = Math.max(at, free[s]!) + seconds
      free[s] = at
    })
    ready[next] = at
    end = Math.max(end, at)
  }
  return tokens / end
}

describe('speculative decoding', () => {
  it('yields the tokens that a simulation of drafting and accepting yields', () => {
    for (const [tokens, acceptance] of [
      [4, 0.7],
      [8, 0.5],
      [2, 0.9],
    ] as const)
      expect(expectedTokens({ tokens, acceptance, cost: 0 })).toBeCloseTo(
        simulatedTokens(tokens, acceptance),
        1,
      )
  })

  it('never helps when nothing is accepted, and never yields more than it drafted', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 2, noNaN: true }),
        (tokens, acceptance, cost) => {
          const { setup, shares } = solo('qwen3-30b-a3b')
          const made = speculation(setup, shares, { tokens, acceptance, cost })
          expect(made.tokensPerStep).toBeLessThanOrEqual(tokens + 1)
          expect(made.speedup).toBeLessThanOrEqual(tokens + 1)
          expect(speculation(setup, shares, { tokens, acceptance: 0, cost }).speedup).toBeLessThanOrEqual(1)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('costs a mixture more weight bytes to check than a dense model, whose weights are read once', () => {
    const draft = parseDraft('3:0.8:0')
    const weights = (model: string) => {
      const { setup, shares } = solo(model)
      return speculation(setup, shares, draft).verifyCost
    }
    expect(weights('qwen3-235b-a22b')).toBeGreaterThan(1)
    expect(weights('llama-3.1-8b')).toBeGreaterThanOrEqual(1)
  })

  it('refuses what is no draft', () => {
    for (const text of ['4', '0:0.5:0.1', '4:1.5:0.1', '4:0.5:-1', '4:x:0.1', '4.5:0.5:0.1'])
      expect(() => parseDraft(text)).toThrow(/TOKENS:ACCEPTANCE:COST/)
  })
})

describe('requests in flight on a pipeline', () => {
  it('reach the throughput of a simulated pipeline', () => {
    for (const stages of [[0.02, 0.02], [0.01, 0.03, 0.02], [0.05]]) {
      const token = stages.reduce((a, b) => a + b, 0)
      for (const requests of [1, stages.length, 2 * stages.length]) {
        const told = throughput(token, Math.max(...stages), requests)
        const twin = simulatedThroughput(stages, requests)
        expect(Math.abs(told / twin - 1)).toBeLessThan(0.06)
      }
    }
  })

  it('give one request no speed-up, and never more than one per stage gives', () => {
    const request = readRequest({ model: 'llama-3.3-70b', contextTokens: 4096, link: 'tb5-rdma' })
    const placement = pipelinePlacement(request, parseMachines('3x m4-pro-20c:24gb'))
    const [one, each, twice] = placementDetails(placement, null).inFlight!
    expect(one!.tokS).toBeCloseTo(placement.decodeTokS.expected, 5)
    expect(each!.tokS).toBeGreaterThan(one!.tokS)
    expect(each!.tokS).toBeLessThanOrEqual(3 * one!.tokS + 1e-9)
    expect(twice!.tokS).toBeGreaterThanOrEqual(each!.tokS)
  })
})

describe('loading', () => {
  it('takes the largest part from drives, and every sent byte through one port over a link', () => {
    const link = { ...parseLink('eth-10g')!, bytesPerS: 1e9 }
    expect(loadTime([6e9], null)).toMatchObject({ fromDriveS: 2, overLinkS: null })
    expect(loadTime([6e9, 3e9, 3e9], link)).toMatchObject({ fromDriveS: 2, overLinkS: 6 })
    expect(loadTime([6e9, 3e9], { ...link, bytesPerS: 1e12 }).overLinkS).toBe(3)
  })
})

describe('prefill on one machine, decode on another', () => {
  const request = readRequest({
    model: 'llama-3.1-8b',
    quant: 'F16',
    contextTokens: 9000,
    promptTokens: 8192,
  })

  it('hides the transfer exactly when the link is faster than the arithmetic', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e6, max: 1e11, noNaN: true }), (bytesPerS) => {
        const made = disaggregated(request, spark, studio, { ...parseLink('eth-10g')!, bytesPerS })!
        expect(made.hidden).toBe(made.transferS <= made.prefillS)
        expect(made.ttftS).toBeGreaterThan(Math.max(made.prefillS, made.transferS))
        // Layer by layer, as it is done: a layer is sent when it is computed and the one before has left.
        const layers = request.model.layers
        let computed = 0
        let sent = 0
        for (let layer = 0; layer < layers; layer++) {
          computed += made.prefillS / layers
          sent = Math.max(sent, computed) + made.transferS / layers
        }
        expect((made.ttftS - 1 / made.decodeTokS) / sent).toBeCloseTo(1, 9)
      }),
    )
  })

  it('is offered only where it shortens the wait, and never for one kind of machine', () => {
    const found = splitPrefill(request, [spark, studio])
    if (found) expect(found.ttftS).toBeLessThan(found.decoderAloneTtftS)
    expect(splitPrefill(request, [studio, studio])).toBeNull()
    const large = readRequest({ model: 'deepseek-v3.1', contextTokens: 4096 })
    expect(disaggregated(large, spark, studio, parseLink('eth-10g')!)).toBeNull()
  })
})
