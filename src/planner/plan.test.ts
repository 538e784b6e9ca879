import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HolonError } from '../core/errors.ts'
import { chips, links } from '../facts/index.ts'
import { linkFromFact } from './link-name.ts'
import { type Machine, parseMachines } from './machines.ts'
import { pipelinePlacement, soloPlacement, tensorPlacement } from './placements.ts'
import { plan } from './plan.ts'
import { readRequest } from './request.ts'

const modelName = fc.constantFrom(
  'llama-3.3-70b',
  'qwen3-30b-a3b',
  'gpt-oss-120b',
  'deepseek-v3.1',
  'gemma-3-27b',
  'qwen3.5-27b',
  'dense:7b',
  'moe:235b-a22b',
)
const quant = fc.constantFrom('Q4_K_M', 'Q8_0', 'F16', 'Q2_K', 'MXFP4')
const chip = fc.constantFrom(...chips.map((entry) => entry.id))
const request = fc.record({
  model: modelName,
  quant,
  contextTokens: fc.integer({ min: 64, max: 1_048_576 }),
  parallel: fc.integer({ min: 1, max: 64 }),
})
const machineOf = (id: string, gb: number): Machine => parseMachines(`${id}:${gb}gb`)[0]!
const finite = (values: number[]) => values.every((value) => Number.isFinite(value) && value >= 0)

function withBandwidth(machine: Machine, factor: number): Machine {
  const chip = machine.hardware.chip
  return {
    ...machine,
    hardware: {
      ...machine.hardware,
      chip: { ...chip, memory_bandwidth_gb_s: chip.memory_bandwidth_gb_s * factor },
    },
  }
}

describe('a plan over random models, machines and links', () => {
  it('never gives a NaN, an infinite or a negative figure, and low <= expected <= high', () => {
    fc.assert(
      fc.property(
        request,
        fc.array(fc.tuple(chip, fc.integer({ min: 1, max: 1024 })), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...links),
        (asked, kinds, link) => {
          const machines = kinds.map(([id, gb], i) => ({ ...machineOf(id, gb), id: `m${i}` }))
          const made = plan({ ...readRequest(asked), link: linkFromFact(link) }, machines)
          for (const placement of made.placements) {
            for (const range of [placement.decodeTokS, placement.prefillTokS, placement.ttftS]) {
              expect(finite([range.expected, range.low, range.high])).toBe(true)
              expect(range.low).toBeLessThanOrEqual(range.expected)
              expect(range.expected).toBeLessThanOrEqual(range.high)
            }
            for (const row of placement.memory)
              expect(finite([row.totalBytes, row.limitBytes, row.kvBytes, row.weightsBytes])).toBe(true)
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it('never says that a pool fits what its members cannot hold', () => {
    fc.assert(
      fc.property(
        request,
        fc.array(fc.tuple(chip, fc.integer({ min: 4, max: 256 })), { minLength: 2, maxLength: 4 }),
        (asked, kinds) => {
          const machines = kinds.map(([id, gb], i) => ({ ...machineOf(id, gb), id: `m${i}` }))
          for (const placement of plan(readRequest(asked), machines).placements) {
            if (!placement.fits) continue
            for (const row of placement.memory) expect(row.totalBytes).toBeLessThanOrEqual(row.limitBytes + 1)
            const held = placement.memory.reduce((sum, row) => sum + row.weightsBytes, 0)
            expect(held).toBeGreaterThan(0)
            if (placement.strategy === 'pipeline')
              expect(placement.layers.reduce((a, b) => a + b, 0)).toBe(readRequest(asked).model.layers)
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('speed is monotonic', () => {
  const big = (id: string): Machine => ({
    ...machineOf(id, 2048),
    usable: { limitBytes: 2e12, reserveBytes: 0, how: 'test', estimated: false },
  })

  it('more bandwidth is never slower', () => {
    fc.assert(
      fc.property(request, chip, fc.double({ min: 1, max: 8, noNaN: true }), (asked, id, factor) => {
        const machine = big(id)
        const slow = soloPlacement(readRequest(asked), machine)
        const fast = soloPlacement(readRequest(asked), withBandwidth(machine, factor))
        expect(fast.decodeTokS.expected).toBeGreaterThanOrEqual(slow.decodeTokS.expected * (1 - 1e-9))
      }),
    )
  })

  it('more memory never stops a model from fitting', () => {
    fc.assert(
      fc.property(
        request,
        chip,
        fc.integer({ min: 8, max: 512 }),
        fc.integer({ min: 0, max: 512 }),
        (asked, id, gb, more) => {
          const fits = (size: number) => soloPlacement(readRequest(asked), machineOf(id, size)).fits
          if (fits(gb)) expect(fits(gb + more)).toBe(true)
        },
      ),
    )
  })

  it('more context needs no less memory and a longer prompt is no faster to decode after', () => {
    fc.assert(
      fc.property(
        modelName,
        chip,
        fc.integer({ min: 64, max: 500_000 }),
        fc.integer({ min: 0, max: 500_000 }),
        (model, id, context, more) => {
          const at = (tokens: number) =>
            soloPlacement(readRequest({ model, contextTokens: tokens, promptTokens: tokens }), big(id))
          expect(at(context + more).memory[0]!.totalBytes).toBeGreaterThanOrEqual(
            at(context).memory[0]!.totalBytes,
          )
          expect(at(context + more).decodeTokS.expected).toBeLessThanOrEqual(
            at(context).decodeTokS.expected * (1 + 1e-9),
          )
        },
      ),
    )
  })

  it('a slower link is never faster', () => {
    const base = linkFromFact(links.find((link) => link.id === 'tb5-rdma')!)
    fc.assert(
      fc.property(
        modelName,
        fc.constantFrom('m3-ultra-80c', 'm4-max-40c', 'strix-halo-395'),
        fc.double({ min: 1, max: 1000, noNaN: true }),
        (model, id, factor) => {
          const machines = [big(id), { ...big(id), id: 'second' }]
          const asked = readRequest({ model })
          for (const place of [pipelinePlacement, tensorPlacement]) {
            const quick = place({ ...asked, link: base }, machines)
            const late = place({ ...asked, link: { ...base, latencyS: base.latencyS * factor } }, machines)
            if (quick.fits && late.fits && late.machines.length === quick.machines.length)
              expect(late.decodeTokS.expected).toBeLessThanOrEqual(quick.decodeTokS.expected * (1 + 1e-9))
          }
        },
      ),
    )
  })
})

describe('bad input', () => {
  const refused = (run: () => unknown): HolonError => {
    try {
      run()
    } catch (error) {
      if (error instanceof HolonError) return error
      throw error
    }
    throw new Error('was not refused')
  }

  it('an unknown chip is refused with the nearest names and the way to give figures by hand', () => {
    const error = refused(() => parseMachines('m3-ultrra-80c'))
    expect(error.hint).toContain('m3-ultra-80c')
    expect(error.hint).toContain('custom:')
  })

  it('an unknown model, quant or link is refused with what to do', () => {
    expect(refused(() => readRequest({ model: 'lama-best' })).hint).toContain('dense:70b')
    expect(refused(() => readRequest({ model: 'llama-3.3-70b', quant: 'Q4_Z' })).hint).toContain('Q4_')
    expect(refused(() => readRequest({ model: 'llama-3.3-70b', link: 'carrier pigeon' })).hint).toBeTruthy()
  })

  it.each([
    'custom:0:128',
    'custom:-5:128',
    'custom:500:abc',
    'custom:1e9:128',
    '0x m4-max-40c',
    'm4-max-40c:0gb',
  ])('absurd hardware %s is refused', (text) => {
    expect(refused(() => parseMachines(text)).code).toBe('invalid_parameter')
  })

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'a context of %s is refused',
    (contextTokens) => {
      expect(refused(() => readRequest({ model: 'llama-3.3-70b', contextTokens })).param).toBe('context')
    },
  )

  it('a machine smaller than the reserve of its system fits nothing and says so', () => {
    const placement = soloPlacement(readRequest({ model: 'smollm2-135m' }), {
      ...machineOf('rpi-5', 1),
      usable: { limitBytes: 0, reserveBytes: 1, how: 'test', estimated: false },
    })
    expect(placement.fits).toBe(false)
    expect(placement.whyNot).toContain('reserve')
  })
})

it('a small model on a small machine is recommended solo, a huge one on a pool', () => {
  const pool = parseMachines('4x m3-ultra-80c:512gb')
  const huge = plan(readRequest({ model: 'kimi-k2', quant: 'Q8_0', link: 'tb5-rdma' }), pool)
  expect(huge.recommended).toMatch(/^(tensor|pipeline):/)
  expect(plan(readRequest({ model: 'llama-3.2-3b', link: 'eth-1g' }), pool).recommended).toMatch(/^solo:/)
})

it('a wire of three members refuses what three does not divide', () => {
  const made = plan(
    readRequest({ model: 'llama-3.3-70b', link: 'tb5-rdma' }),
    parseMachines('3x m4-max-40c:64gb'),
  )
  expect(
    made.placements.find((placement) => placement.strategy === 'tensor' && placement.machines.length === 3)
      ?.whyNot,
  ).toMatch(/divide/)
})
