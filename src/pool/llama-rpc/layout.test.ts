import { describe, expect, test } from 'vitest'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { PlannedMember, PoolPlan } from '../pool-engine.ts'
import { parseDevices } from './inspect.ts'
import { deviceArguments, type HeadSettings, headSettings, layoutLlamaRpc, scaleTo } from './layout.ts'

const facts = (more: Partial<MemberFacts> = {}): MemberFacts => ({
  whyNot: null,
  build: 'llama.cpp 0.5.0 rpc 7.0.0',
  devices: ['CPU'],
  modelPath: null,
  modelBytes: null,
  diskFreeBytes: 1e12,
  memory: { budgetBytes: 1e10, usedBytes: 0 },
  interfaces: [],
  ...more,
})
const member = (node: string, layers: number, more: Partial<MemberFacts> = {}): PlannedMember => ({
  ...{ node, layers, share: layers / 20, limitBytes: layers * 1e8 },
  facts: facts(more),
})
const plan = (...members: PlannedMember[]): PoolPlan => ({
  ...{ model: 'big', strategy: 'pipeline', contextTokens: 4096, parallel: 2 },
  members,
})
const head = (more: Partial<MemberFacts> = {}) => member('oak', 5, { modelPath: '/m/big.gguf', ...more })
const lay = (of: PoolPlan): HeadSettings => headSettings.parse(layoutLlamaRpc(of)[0])
const words = (settings: HeadSettings, layers = 20) =>
  deviceArguments(settings, layers, ['127.0.0.1:1', '127.0.0.1:2']).join(' ')

describe('a plan as llama.cpp is told it', () => {
  test('a head that computes on its CPU holds the first layers, and the output layer though it is offloaded', () => {
    const settings = lay(plan(head(), member('elm', 6), member('ash', 9)))
    expect(words(settings)).toBe(
      '--rpc 127.0.0.1:1,127.0.0.1:2 --device RPC0,RPC1 --tensor-split 6,10 -ngl 16 ' +
        '--override-tensor ^(output|token_embd)\\.weight$=CPU',
    )
  })

  test('a head with a GPU comes last, so that no logits cross the wire', () => {
    const settings = lay(plan(head({ devices: ['MTL0'] }), member('elm', 6), member('ash', 9)))
    expect(words(settings)).toBe(
      '--rpc 127.0.0.1:1,127.0.0.1:2 --device RPC0,RPC1,MTL0 --tensor-split 6,9,6 -ngl 21',
    )
  })

  test('a worker with two GPUs is two devices behind one address', () => {
    const settings = lay(plan(head(), member('elm', 6), member('ash', 9, { devices: ['CUDA0', 'CUDA1'] })))
    expect(words(settings)).toContain('--device RPC0,RPC1,RPC2 --tensor-split 6,5,5 -ngl 16')
  })

  test('layers that were counted from a name are scaled to those of the file', () => {
    const settings = lay(plan(head(), member('elm', 6), member('ash', 9)))
    expect(words(settings, 40)).toContain('--tensor-split 12,19 -ngl 31')
    expect(scaleTo(7, [1, 1, 1])).toEqual([2, 3, 2])
    expect(scaleTo(3, [0, 0])).toEqual([0, 3])
  })

  test('workers are told what they compute on and what they may take, and nothing of the model', () => {
    const [, worker] = layoutLlamaRpc(plan(head(), member('elm', 15, { devices: ['CUDA0'] })))
    expect(worker).toEqual({
      ...{ role: 'worker', build: 'llama.cpp 0.5.0 rpc 7.0.0', limitBytes: 15e8 },
      ...{ rdma: false, devices: ['CUDA0'], cache: true },
    })
  })

  test.each([
    ['a pool of one', plan(head()), /at least two members/],
    ['a tensor split', { ...plan(head(), member('elm', 15)), strategy: 'tensor' as const }, /by layers only/],
    ['a head without the model', plan(member('oak', 5), member('elm', 15)), /not on oak/],
    [
      'differing builds',
      plan(head(), member('elm', 15, { build: 'llama.cpp 0.6.0 rpc 8.0.0' })),
      /equal builds/,
    ],
    [
      'a member that cannot',
      plan(head(), member('elm', 15, { whyNot: 'llama.cpp is not installed.' })),
      /elm cannot/,
    ],
    ['a member with nothing to do', plan(head(), member('elm', 0)), /no layer/],
  ] as const)('%s is refused', (_, of, why) => {
    expect(() => layoutLlamaRpc(of)).toThrow(why)
  })
})

test('devices are read from --list-devices, without those that have no memory of their own', () => {
  const text = `Available devices:
  MTL0: Apple M3 Max (98304 MiB, 98303 MiB free)
  BLAS: Accelerate (0 MiB, 0 MiB free)
  CUDA1: NVIDIA GeForce RTX 4090 (24080 MiB, 23600 MiB free)
`
  expect(parseDevices(text)).toEqual(['MTL0', 'CUDA1'])
  expect(parseDevices('Available devices:\n  (none)\n')).toEqual([])
})
