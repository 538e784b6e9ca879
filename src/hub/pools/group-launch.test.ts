import { expect, test } from 'vitest'
import type { GroupPlacement } from '../../pool/preview/placed.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { OpenPart } from '../../protocol/pool.ts'
import { GroupLaunch } from './group-launch.ts'

/** Three members whose parts end when a test says so; what the controller is told of it. */
async function launched() {
  const dies: ((sentence: string) => void)[] = []
  const told: [number, string][] = []
  const handles = ['oak', 'elm', 'ash'].map((name, rank) => ({
    name,
    pool: {
      open: async (): Promise<OpenPart> => ({
        listening: null,
        died: new Promise((resolve) => {
          dies[rank] = resolve
        }),
        start: () => Promise.reject(new Error('not started here')),
        stop: async () => undefined,
      }),
    },
  }))
  const members = handles.map(() => ({ share: 1 / 3 }))
  const launch = new GroupLaunch({
    pool: 'big',
    group: {
      engine: { id: 'llama-rpc' },
      plan: { model: 'm', members },
      settings: [],
    } as unknown as GroupPlacement,
    handles: handles as unknown as NodeHandle[],
    modelIds: [],
    hosts: [],
    mode: 'encrypted',
    before: async () => undefined,
    events: {
      opened: () => undefined,
      started: () => undefined,
      progress: () => undefined,
      failed: (rank, reason) => told.push([rank, reason]),
      stopped: () => undefined,
    },
  })
  for (const rank of handles.keys()) launch.open(rank)
  await new Promise((resolve) => setImmediate(resolve))
  return {
    /** A part ends by itself. */
    die: async (rank: number, sentence: string) => {
      dies[rank]?.(sentence)
      await new Promise((resolve) => setImmediate(resolve))
      return told
    },
    ended: launch.ended,
  }
}

test('a part that breaks by itself is to blame, and its machine is named', async () => {
  const { die, ended } = await launched()
  expect(await die(1, 'The engine was killed.')).toEqual([[1, 'elm: The engine was killed.']])
  expect(await ended).toBe('The engine was killed.')
})

test('of two that lost each other the one that can still say so is not to blame', async () => {
  const { die } = await launched()
  const silent = 'The connection to member 2 was lost: nothing was heard from it for 2.0 s.'
  expect(await die(0, silent)).toEqual([
    [2, 'oak: The connection to ash was lost: nothing was heard from it for 2.0 s.'],
  ])
})

// A worker is often heard before the head that broke: four hangs of a head left a healthy worker out.
test('where it began is found through those that only followed', async () => {
  const { die } = await launched()
  const followed =
    'The connection to member 0 was lost: it ended its part: The pool hangs: no answer for 150 s.'
  expect((await die(1, followed))[0]).toEqual([
    0,
    'elm: The connection to oak was lost: it ended its part: The pool hangs: no answer for 150 s.',
  ])
})
