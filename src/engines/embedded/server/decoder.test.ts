import { describe, expect, test } from 'vitest'
import type { NativeContext, NativeModel, NativeModule, NativeSampler } from './binding.ts'
import { Decoder, type Job, type Outcome } from './decoder.ts'

const END = 99

/** A context that records its batches; each sequence samples the tokens it is told to, then the end token. */
class ScriptedContext {
  batches: [sequence: number, first: number, size: number][][] = []
  private batch: [number, number, number][] = []
  private owners: number[] = []
  disposed: number[] = []
  failNext: string | null = null
  /** Called before each decode. */
  beforeDecode: () => void = () => undefined

  initBatch(): void {
    this.batch = []
    this.owners = []
  }
  addToBatch(sequence: number, first: number, tokens: Uint32Array, logits: Uint32Array): Uint32Array {
    this.batch.push([sequence, first, tokens.length])
    return logits.map(() => this.owners.push(sequence) - 1)
  }
  async decodeBatch(): Promise<void> {
    this.beforeDecode()
    this.batches.push(this.batch)
    const failure = this.failNext
    this.failNext = null
    if (failure) throw new Error(failure)
  }
  async sampleToken(_at: number, sampler: { script: number[] }): Promise<number> {
    return sampler.script.shift() ?? END
  }
  setThreads(): void {}
  disposeSequence(sequence: number): void {
    this.disposed.push(sequence)
  }
  removeTokenCellsFromSequence(): boolean {
    return true
  }
}

function setUp(
  options: { sequences?: number; contextTokens?: number; batchSize?: number; maxWaiting?: number } = {},
) {
  const context = new ScriptedContext()
  let disposedSamplers = 0
  const decoder = new Decoder({
    native: {} as NativeModule,
    model: {} as NativeModel,
    context: context as unknown as NativeContext,
    sequences: 2,
    contextTokens: 1000,
    batchSize: 512,
    maxWaiting: 1,
    threads: { decode: 1, prefill: 1 },
    isEnd: (token) => token === END,
    ...options,
  })
  const run = (
    promptLength: number,
    script: number[],
    extra: Partial<Job> = {},
  ): Promise<Outcome & { tokens: number[] }> => {
    const tokens: number[] = []
    const sampler = { script, dispose: () => disposedSamplers++ } as unknown as NativeSampler
    const job: Job = {
      // Different beginnings, so that no prompt finds another's tokens in the cache.
      prompt: Array.from({ length: promptLength }, (_, index) => index * 7 + promptLength),
      maxTokens: 100,
      sampler,
      logprobs: null,
      signal: new AbortController().signal,
      onToken: (token) => {
        tokens.push(token)
        return 'go'
      },
      ...extra,
    }
    return decoder.generate(job).then((outcome) => ({ ...outcome, tokens }))
  }
  return { context, decoder, run, disposed: () => disposedSamplers }
}

describe('the decoder', () => {
  test('hands out tokens until the end token, which is counted but not handed out', async () => {
    const { run, disposed } = setUp()
    const outcome = await run(5, [1, 2, 3])
    expect(outcome).toMatchObject({ tokens: [1, 2, 3], finish: 'stop', predictedTokens: 4, promptTokens: 5 })
    expect(disposed()).toBe(1)
  })

  test('ends with "length" at the limit, and with "stop" when told to or when the grammar is complete', async () => {
    const { run } = setUp()
    expect(await run(5, [1, 2, 3], { maxTokens: 2 })).toMatchObject({ tokens: [1, 2], finish: 'length' })
    expect(await run(6, [1, 2, 3], { onToken: () => 'stop' })).toMatchObject({
      predictedTokens: 1,
      finish: 'stop',
    })
    expect(await run(7, [1, -1])).toMatchObject({ tokens: [1], finish: 'stop' })
  })

  test('stops at the end of the context instead of shifting it', async () => {
    const { run } = setUp({ contextTokens: 10 })
    const outcome = await run(7, [1, 2, 3, 4, 5, 6, 7])
    expect(outcome).toMatchObject({ tokens: [1, 2, 3, 4], finish: 'length' })
    await expect(run(10, [])).rejects.toMatchObject({ code: 'context_length_exceeded' })
  })

  test('decodes answers under way together, and reads a long prompt in small pieces beside them', async () => {
    const { context, run } = setUp({ batchSize: 512 })
    const first = run(
      4,
      Array.from({ length: 8 }, () => 1),
    )
    let second: Promise<unknown> | null = null
    context.beforeDecode = () => {
      if (context.batches.length === 2) second ??= run(300, [1])
    }
    await first
    await second
    const sizes = context.batches.map((batch) => batch.map(([, , size]) => size))
    expect(sizes[0]).toEqual([4])
    // One token of the first and at most 127 of the second's prompt: the first never waits for 300.
    expect(sizes.slice(3, 6)).toEqual([
      [1, 127],
      [1, 127],
      [1, 46],
    ])
  })

  test('puts sequences into a batch in ascending order, for llama.cpp computes only those together', async () => {
    const { context, run } = setUp()
    await run(5, [1])
    await Promise.all([run(6, [1, 2, 3]), run(7, [1, 2, 3])])
    const orders = context.batches.map((batch) => batch.map(([sequence]) => sequence))
    expect(orders).toContainEqual([0, 1])
    expect(orders).not.toContainEqual([1, 0])
  })

  test('fails only the answers of a batch that failed, and forgets what their sequences held', async () => {
    const { context, run } = setUp()
    context.failNext = 'no room'
    await expect(run(5, [1])).rejects.toMatchObject({
      code: 'engine_failed',
      message: expect.stringContaining('no room'),
    })
    expect(context.disposed).toHaveLength(1)
    expect(await run(5, [1])).toMatchObject({ tokens: [1], cachedTokens: 0 })
  })

  test('an answer whose receiver throws fails alone', async () => {
    const { run } = setUp()
    const broken = run(5, [1, 2], {
      onToken: () => {
        throw new Error('receiver broke')
      },
    })
    const [bad, good] = await Promise.allSettled([broken, run(6, [1, 2])])
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'engine_failed' } })
    expect(good).toMatchObject({ status: 'fulfilled', value: { tokens: [1, 2] } })
  })

  test('drops a cancelled answer before the next step, also while its prompt is read', async () => {
    const { context, run, decoder, disposed } = setUp({ batchSize: 10 })
    const cancel = new AbortController()
    context.beforeDecode = () => {
      if (context.batches.length === 2) cancel.abort(new Error('gone'))
    }
    await expect(run(100, [1], { signal: cancel.signal })).rejects.toThrow('gone')
    expect(context.batches).toHaveLength(3)
    expect(decoder.busy).toEqual({ running: 0, waiting: 0 })
    expect(disposed()).toBe(1)
  })

  test('queues what finds no sequence, in order, and refuses what finds no place in the queue', async () => {
    const { run } = setUp({ sequences: 1, maxWaiting: 1 })
    const order: string[] = []
    const first = run(4, [1, 2]).then(() => order.push('first'))
    const second = run(5, [1]).then(() => order.push('second'))
    await expect(run(6, [1])).rejects.toMatchObject({ code: 'overloaded', retryAfterS: 1 })
    await Promise.all([first, second])
    expect(order).toEqual(['first', 'second'])
  })

  test('queues the next batch before it hands out the tokens of the last one', async () => {
    const { context, run } = setUp()
    const events: string[] = []
    context.beforeDecode = () => events.push('decode')
    const onToken = (token: number) => {
      events.push(`token ${token}`)
      return 'go' as const
    }
    await run(5, [1, 2], { onToken })
    expect(events).toEqual(['decode', 'decode', 'token 1', 'decode', 'token 2'])
  })

  test('throws away what was computed for an answer that was told to stop meanwhile', async () => {
    const { context, run } = setUp()
    const prompt = [5, 6, 7, 8]
    const outcome = await run(0, [1, 2, 3, 4], {
      prompt,
      onToken: (token) => (token === 2 ? 'stop' : 'go'),
    })
    expect(outcome).toMatchObject({ finish: 'stop', predictedTokens: 2 })
    expect(context.batches).toHaveLength(3)
    // The token it stopped at was decoded all the same, so the cache holds it.
    expect(await run(0, [9], { prompt: [...prompt, 1, 2, 50] })).toMatchObject({ cachedTokens: 6 })
  })

  test('reads prompts that came together in one batch', async () => {
    const { context, run } = setUp()
    await Promise.all([run(5, [1]), run(6, [1])])
    expect(context.batches[0]).toEqual([
      [0, 0, 5],
      [1, 0, 6],
    ])
  })

  test('takes up a conversation where its sequence left off', async () => {
    const { context, run } = setUp()
    const prompt = [5, 6, 7, 8]
    await run(0, [1, 2], { prompt })
    const next = await run(0, [3], { prompt: [...prompt, 1, 2, 50, 51] })
    expect(next).toMatchObject({ cachedTokens: 6, promptTokens: 8 })
    expect(context.batches.at(-2)).toEqual([[0, 6, 2]])
  })
})
