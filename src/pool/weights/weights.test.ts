import { describe, expect, test } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import { type WeightFile, type WeightList, weightFile } from '../../protocol/pool-weights.ts'
import { FanOut, type Transfer } from './fan-out.ts'
import { neededFiles } from './needed-files.ts'

const file = (name: string, layers: number[] = [], common = layers.length === 0): WeightFile => ({
  name,
  bytes: 100,
  sha256: 'a'.repeat(64),
  layers,
  common,
})
const list: WeightList = {
  model: 'org/x',
  path: '/models/x',
  modelLayers: 4,
  files: [file('config.json'), file('s1', [0, 1], true), file('s2', [1, 2]), file('s3', [3], true)],
}
const names = (files: readonly WeightFile[]) => files.map(({ name }) => name)

describe('who needs what', () => {
  const needs = (engine: Parameters<typeof neededFiles>[0]['engine'], strategy: 'pipeline' | 'tensor') =>
    neededFiles({ engine, strategy, size: 2 }, list).map(names)
  const all = names(list.files)

  test('llama.cpp RPC: the head alone', () => {
    expect(needs('llama-rpc', 'pipeline')).toEqual([all, []])
  })

  test('a tensor split of MLX, and vLLM: everybody all', () => {
    expect(needs('mlx', 'tensor')).toEqual([all, all])
    expect(needs('vllm', 'pipeline')).toEqual([all, all])
  })

  test('a pipeline of MLX: each stage the shards with its layers, and what is no layer', () => {
    expect(needs('mlx', 'pipeline')).toEqual([
      ['config.json', 's1', 's2', 's3'],
      ['config.json', 's1', 's2', 's3'],
    ])
    const eight = {
      ...list,
      modelLayers: 8,
      files: [file('c'), file('lo', [0, 1, 2, 3]), file('hi', [4, 5, 6, 7])],
    }
    const [first, second] = neededFiles({ engine: 'mlx', strategy: 'pipeline', size: 2 }, eight)
    expect([names(first!), names(second!)]).toEqual([
      ['c', 'hi'],
      ['c', 'lo'],
    ])
  })

  test('exo and a cluster that is there: nobody anything', () => {
    expect(needs('exo', 'tensor')).toEqual([[], []])
    expect(needs('attached', 'tensor')).toEqual([[], []])
  })
})

describe('fan-out', () => {
  /** Runs rounds in which all transfers take the same time; how many rounds, and what went over whose line. */
  function rounds(fanOut: FanOut): { rounds: number; sent: Map<string, number> } {
    const sent = new Map<string, number>()
    let running: Transfer[] = []
    for (let round = 0; ; round++) {
      running.push(...fanOut.next())
      if (fanOut.finished) return { rounds: round, sent }
      for (const transfer of running) {
        sent.set(transfer.from, (sent.get(transfer.from) ?? 0) + 1)
        fanOut.done(transfer)
      }
      running = []
      if (round > 1000) throw new Error('it does not end')
    }
  }
  const files = Array.from({ length: 12 }, (_, at) => file(`s${at}`))
  const source = { name: 'head', missing: [], has: names(files) }
  const receivers = ['a', 'b', 'c'].map((name) => ({ name, missing: files, has: [] }))

  test('who has a file serves the next: the first holder does not send everything to everybody', () => {
    const { rounds: taken, sent } = rounds(new FanOut([source, ...receivers]))
    expect(sent.get('head')).toBeLessThan(3 * files.length)
    // One line alone, two at a time, would take 18.
    expect(taken).toBeLessThan(12)
    expect([...sent.values()].reduce((sum, count) => sum + count, 0)).toBe(36)
  })

  test('each receiver gets each file once, and never from itself', () => {
    const fanOut = new FanOut([source, ...receivers])
    const seen = new Set<string>()
    while (!fanOut.finished) {
      for (const transfer of fanOut.next()) {
        const key = `${transfer.to} ${transfer.file.name}`
        expect(seen.has(key)).toBe(false)
        expect(transfer.from).not.toBe(transfer.to)
        seen.add(key)
        fanOut.done(transfer)
      }
    }
    expect(seen.size).toBe(36)
  })

  test('a source that fails is tried again, then another, then it is told', () => {
    const one = file('s')
    const fanOut = new FanOut([
      { name: 'bad', missing: [], has: ['s'] },
      { name: 'good', missing: [], has: ['s'] },
      { name: 'a', missing: [one], has: [] },
    ])
    const asked: string[] = []
    const error = new HolonError('download_failed', 'it lies')
    for (;;) {
      let transfers: Transfer[]
      try {
        transfers = fanOut.next()
      } catch (thrown) {
        expect(thrown).toBe(error)
        break
      }
      for (const transfer of transfers) {
        asked.push(transfer.from)
        fanOut.failed(transfer, error)
      }
    }
    expect(asked.toSorted()).toEqual(['bad', 'bad', 'bad', 'good', 'good', 'good'])
  })

  test('what nobody has is told by name', () => {
    const fanOut = new FanOut([{ name: 'a', missing: [file('s')], has: [] }])
    expect(() => fanOut.next()).toThrow('Nobody who can be reached has s, which a needs.')
  })
})

test('a name that leads out of the folder is refused', () => {
  const named = (name: string) => weightFile.safeParse({ ...file('x'), name }).success
  expect(['a.json', 'sub/a.json', 'model-00001-of-2.safetensors'].map(named)).toEqual([true, true, true])
  expect(['../a', '/etc/passwd', 'a/../../b', '..', 'C:x', 'a\\b', ''].map(named)).toEqual(
    Array(7).fill(false),
  )
})
