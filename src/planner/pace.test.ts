import { describe, expect, test } from 'vitest'
import { type Machine, parseMachines } from './machines.ts'
import { atPace, type Pace, paceText } from './pace.ts'
import { engineFor, pipelinePlacement, soloPlacement, tensorPlacement } from './placements.ts'
import { readRequest, setupFor } from './request.ts'
import { decodeSpeed, prefillSpeed } from './speed/predict.ts'

const paced = (machine: Machine, pace: Partial<Pace>): Machine => ({
  ...machine,
  pace: { decode: null, prefill: null, ofThisModel: false, models: ['llama-3.1-8b'], ...pace },
})
const request = readRequest({ model: 'qwen3-32b', quant: 'Q4_K_M', contextTokens: 4096 })
const one = parseMachines('m4-max-40c:64gb')[0] as Machine
const [a, b] = parseMachines('2x m4-max-40c:64gb') as [Machine, Machine]

describe('a machine whose answers were measured', () => {
  test('alone takes as much longer as they did, decode and prefill apart, and the plan says so', () => {
    const plain = soloPlacement(request, one)
    const slow = soloPlacement(request, paced(one, { decode: 1.25 }))
    expect(slow.decodeTokS.expected).toBeCloseTo(plain.decodeTokS.expected / 1.25, 6)
    expect(slow.prefillTokS.expected).toBeCloseTo(plain.prefillTokS.expected, 6)
    const quick = soloPlacement(request, paced(one, { prefill: 0.5 }))
    expect(quick.prefillTokS.expected).toBeCloseTo(plain.prefillTokS.expected * 2, 6)
    expect(slow.because).toContain(
      `${one.id} decodes at 0.80 of the calculated speed, by its own answers of llama-3.1-8b`,
    )
    expect(plain.because.join()).not.toContain('answers')
  })

  test('is measured where it answered with this very model, and calculated where with others', () => {
    const calculated = soloPlacement(request, one).basis
    expect(soloPlacement(request, paced(one, { decode: 1.1 })).basis).toBe(calculated)
    const measured = soloPlacement(request, paced(one, { decode: 1.1, ofThisModel: true }))
    expect(measured.basis).toBe('measured')
  })

  test('whose prompts were too short to tell is measured in decode alone', () => {
    const machines = [paced(one, { decode: 1.1, ofThisModel: true })]
    const setup = setupFor(request, machines, 'solo', engineFor(request, machines, 'solo'), null)
    expect(decodeSpeed(setup).basis).toBe('measured')
    expect(prefillSpeed(setup).basis).not.toBe('measured')
  })

  test('in a pipeline gets fewer layers, and the wire takes what it takes', () => {
    const tight = (machine: Machine): Machine => ({
      ...machine,
      usable: { ...machine.usable, limitBytes: 16e9 },
    })
    const split = (first: Machine, second: Machine) =>
      pipelinePlacement(request, [tight(first), tight(second)], undefined, 'all')
    const even = split(a, b)
    const slow = split(a, paced(b, { decode: 2 }))
    expect(slow.layers[1]).toBeLessThan(slow.layers[0] ?? 0)
    const twice = split(paced(a, { decode: 2 }), paced(b, { decode: 2 }))
    expect(twice.layers).toEqual(even.layers)
    // Twice the arithmetic, and the wire once.
    const ratio = even.decodeTokS.expected / twice.decodeTokS.expected
    expect(ratio).toBeGreaterThan(1.5)
    expect(ratio).toBeLessThan(2)
  })

  test('in a tensor split makes the others wait', () => {
    const even = tensorPlacement(request, [a, b])
    const slow = tensorPlacement(request, [a, paced(b, { decode: 2 })])
    expect(slow.decodeTokS.expected).toBeLessThan(even.decodeTokS.expected * 0.8)
  })
})

test('a term says what it was multiplied by, and stays as it is where nothing was measured', () => {
  const terms = [{ name: 'weights', seconds: 1, keys: [], counted: 'bytes' }]
  expect(atPace(terms, 1.5)).toEqual([
    { name: 'weights', seconds: 1.5, keys: [], counted: 'bytes, times 1.50 as measured on this machine' },
  ])
  expect(atPace(terms, null)).toBe(terms)
  expect(atPace(terms, undefined)).toBe(terms)
  expect(atPace(terms, 1)).toBe(terms)
})

test('many models are not all named, and nothing is said of nothing', () => {
  const pace = { decode: 0.8, prefill: 2, ofThisModel: false, models: ['x', 'y', 'z'] }
  expect(paceText('oak', pace)).toBe(
    'oak decodes at 1.25 of the calculated speed and reads prompts at 0.50 of the calculated speed, by its own answers of x and y and 1 more',
  )
  expect(paceText('oak', { ...pace, decode: 1, prefill: null })).toBeNull()
  expect(paceText('oak', null)).toBeNull()
})
