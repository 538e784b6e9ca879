import { expect, test } from 'vitest'
import { constants } from './constants.ts'
import type { LinkSpec } from './link-name.ts'
import { type Machine, parseMachines } from './machines.ts'
import { pipelinePlacement } from './placements.ts'
import { readRequest } from './request.ts'
import { decodeTerms, prefillTerms } from './speed/pool.ts'
import { totalSeconds } from './speed/terms.ts'

const machines = (count: number, gb = 64): Machine[] => parseMachines(`${count}x m4-max-40c:${gb}gb`)
const link = (latencyS: number, bytesPerS: number): LinkSpec => ({
  ...{ id: 'test', name: 'test', latencyS, bytesPerS, transport: 'tcp', source: 'test', unverified: false },
})
const asked = (over: LinkSpec) => ({
  ...readRequest({ model: 'llama-3.3-70b', quant: 'Q4_K_M', engine: 'llama.cpp RPC', contextTokens: 4096 }),
  link: over,
})
const seconds = (count: number, over: LinkSpec) => {
  const { setup, shares } = pipelinePlacement(asked(over), machines(count), undefined, 'all')
  return {
    decode: totalSeconds(decodeTerms(setup, shares), constants.decode),
    prefill: totalSeconds(prefillTerms(setup, shares), constants.prefill),
    prompt: setup.promptTokens,
    hidden: setup.model.hidden,
  }
}

test('a token costs a round trip per worker: each millisecond of latency counts twice for every one of them', () => {
  const lan = link(1e-3, 1e12)
  const far = link(5e-3, 1e12)
  for (const count of [2, 3, 4]) {
    const longer = seconds(count, far).decode - seconds(count, lan).decode
    expect(longer).toBeCloseTo((count - 1) * 2 * 4e-3, 9)
  }
})

test('the prompt crosses the head between two workers, two vectors of 32 bits for each token', () => {
  const fast = link(1e-3, 1e12)
  const slow = link(1e-3, 1e8)
  for (const count of [2, 3, 4]) {
    const [a, b] = [seconds(count, fast), seconds(count, slow)]
    const bytes = (2 * (count - 1) - 1) * 2 * a.hidden * 4 * a.prompt
    expect(b.prefill - a.prefill).toBeCloseTo(bytes / 1e8 - bytes / 1e12, 6)
  }
})

test('a build of a stated year pays what was fitted to its time', () => {
  const { setup, shares } = pipelinePlacement(asked(link(1e-4, 1e9)), machines(2), undefined, 'all')
  const names = (year: number | null) => decodeTerms({ ...setup, year }, shares).map(({ name }) => name)
  expect(names(null)).toContain('exchange')
  expect(names(null)).not.toContain('sync')
  expect(names(2025.5)).toEqual(expect.arrayContaining(['hop', 'sync']))
  expect(names(2025.5)).not.toContain('exchange')
})

test('the head holds the ends of the model and the logits, workers their layers; together they hold it once', () => {
  const { memory, setup, layers } = pipelinePlacement(asked(link(1e-4, 1e9)), machines(3), undefined, 'all')
  const { weights, model } = setup
  const perLayer = (weights.total - weights.lookup - weights.head) / model.layers
  const [head, ...workers] = memory
  expect(head?.weightsBytes).toBeCloseTo(perLayer * layers[0]! + weights.head, -3)
  workers.forEach((row, at) => {
    expect(row.weightsBytes).toBeCloseTo(perLayer * layers[at + 1]!, -3)
    expect(row.computeBytes).toBeLessThan(head!.computeBytes)
  })
  const held = memory.reduce((sum, row) => sum + row.weightsBytes, 0)
  expect(held).toBeCloseTo(weights.total - weights.lookup, -4)
})

test('a first machine without room is left out, and the next is the head', () => {
  const [tiny] = parseMachines('m4-max-40c:8gb')
  const placement = pipelinePlacement(asked(link(1e-4, 1e9)), [tiny!, ...machines(2, 36)])
  expect(placement.fits).toBe(true)
  expect(placement.machines).toHaveLength(2)
  expect(placement.machines).not.toContain(tiny!.id)
  expect(placement.because.join(' ')).toContain('1 of 3 machines are left out')
})
