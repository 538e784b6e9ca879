import { describe, expect, it } from 'vitest'
import type { NodeModel, RunningModel } from '../../../src/protocol/model.ts'
import type { NodeView } from './fleet.ts'
import {
  chatModels,
  memorySlices,
  modelFacts,
  noticeFor,
  pickModel,
  runningFacts,
  splitAdvice,
} from './fleet-view.ts'

const model = (id: string, changes: Partial<NodeModel> = {}): NodeModel => ({
  id,
  path: `/m/${id}.gguf`,
  source: `/m/${id}.gguf`,
  format: 'gguf',
  architecture: 'llama',
  name: id,
  quant: 'Q4_K_M',
  paramsTotal: 8_030_000_000,
  sizeBytes: 4_920_000_000,
  contextMax: 8192,
  embedding: false,
  demo: false,
  problem: null,
  state: 'disk',
  progress: null,
  failure: null,
  ...changes,
})
const running = (id: string, memoryBytes: number | null): RunningModel => ({
  id,
  engine: 'llama-server',
  pid: 1,
  state: 'ready',
  progress: null,
  contextTokens: 4096,
  parallel: 4,
  threads: 2,
  memoryBytes,
  active: 0,
  decodeTokS: 12.34,
  prefillTokS: 100,
  loadedAt: 0,
  idleS: 0,
})
const node = (models: NodeModel[], changes: Partial<NodeView> = {}): NodeView => ({
  id: 'n',
  name: 'n',
  state: 'ready',
  profile: null,
  models,
  running: [],
  memory: { budgetBytes: 100e9, usedBytes: 0 },
  ...changes,
})

describe('the models to chat with', () => {
  it('are those that can, once each, in the best state, demonstration last', () => {
    const models = chatModels([
      node([model('b'), model('demo', { demo: true, state: 'ready' }), model('e', { embedding: true })]),
      node([model('b', { state: 'ready' }), model('a'), model('x', { problem: 'damaged' })]),
      node([model('lost', { state: 'ready' })], { state: 'gone' }),
    ])
    expect(models.map((entry) => `${entry.id} ${entry.state}`)).toEqual(['b ready', 'a disk', 'demo ready'])
    expect(pickModel(models, 'a')).toBe('a')
    expect(pickModel(models, 'gone')).toBe('b')
    expect(pickModel(models, null)).toBe('b')
    expect(pickModel([], 'a')).toBeNull()
  })
})

describe('the notice', () => {
  const fleet = (nodes: NodeView[], advice: string | null) => ({
    link: 'live' as const,
    nodes,
    status: { version: '1', pid: 1, startedAt: 0, url: '', advice },
    lastTokS: {},
  })

  it('speaks only while there is no real model', () => {
    const demo = model('demo', { demo: true })
    expect(noticeFor(fleet([], null))).toBeNull()
    expect(noticeFor(fleet([node([])], 'x'))).toEqual({ kind: 'empty', advice: 'x' })
    expect(noticeFor(fleet([node([demo])], null))).toEqual({ kind: 'demo', advice: null })
    expect(noticeFor(fleet([node([demo, model('a')])], 'x'))).toBeNull()
  })

  it('finds the command to copy, and the words around it', () => {
    expect(splitAdvice('For 16 GB run: `holon pull qwen3:8b`. It takes 5 GB.')).toEqual({
      text: 'For 16 GB run:',
      command: 'holon pull qwen3:8b',
      rest: 'It takes 5 GB.',
    })
    expect(splitAdvice('Run `./holon pull a/b --quant Q4_K_M`.').command).toBe(
      './holon pull a/b --quant Q4_K_M',
    )
    expect(splitAdvice('Get one with holon pull unsloth/Qwen3-8B-GGUF.')).toEqual({
      text: 'Get one with',
      command: 'holon pull unsloth/Qwen3-8B-GGUF',
      rest: '',
    })
    expect(splitAdvice('Buy more memory.')).toEqual({ text: 'Buy more memory.', command: null, rest: '' })
  })
})

describe('the memory bar', () => {
  it('shows each model and what they do not explain, and never more than the whole', () => {
    const busy = node([], {
      running: [running('a', 30e9), running('b', 20e9), running('c', null)],
      memory: { budgetBytes: 100e9, usedBytes: 60e9 },
    })
    expect(memorySlices(busy).map((slice) => `${slice.label} ${slice.percent}`)).toEqual([
      'a 30',
      'b 20',
      'other 10',
    ])
    const over = { ...busy, memory: { budgetBytes: 40e9, usedBytes: 50e9 } }
    expect(memorySlices(over).reduce((sum, slice) => sum + slice.percent, 0)).toBeCloseTo(100)
    expect(memorySlices({ ...busy, memory: null })).toEqual([])
  })
})

it('puts the facts of a model and its engine in a line', () => {
  const plain = (text: string) => text.replaceAll('\u00a0', ' ')
  expect(plain(modelFacts(model('a')))).toBe('8B · Q4_K_M · 4.92 GB')
  expect(plain(modelFacts(model('a', { paramsTotal: null, quant: null, embedding: true })))).toBe(
    '4.92 GB · embeddings',
  )
  expect(modelFacts(model('a', { sizeBytes: 0 }))).toBe('8B · Q4_K_M')
  expect(runningFacts({ ...running('a', 5e9), active: 2 }, undefined).map(plain)).toEqual([
    'llama-server',
    '5.00 GB',
    '12.3 tok/s',
    '2 answers',
  ])
  expect(runningFacts({ ...running('a', null), decodeTokS: null }, 40).map(plain)).toEqual([
    'llama-server',
    '40.0 tok/s',
  ])
})
