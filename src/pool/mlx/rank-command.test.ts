import { describe, expect, test } from 'vitest'
import { type RankOrder, rankCommand, ringHosts } from './rank-command.ts'

const order: RankOrder = {
  python: '/venv/bin/python3',
  modelPath: '/models/x',
  settings: { strategy: 'tensor', rdma: null },
  backend: 'ring',
  rank: 1,
  httpPort: 8080,
  groupFile: '/run/mlx-a/group.json',
  coordinator: null,
}

/** The launcher is long and told elsewhere. */
function shown(of: RankOrder) {
  const { command, args, env } = rankCommand(of)
  return { command, args: args.map((arg) => (arg.includes('import') ? 'LAUNCHER' : arg)).join(' '), env }
}

test('a rank of the ring', () => {
  expect(shown(order)).toMatchInlineSnapshot(`
    {
      "args": "-c LAUNCHER ring --model /models/x --host 127.0.0.1 --port 8080 --log-level INFO",
      "command": "/venv/bin/python3",
      "env": {
        "HF_HUB_OFFLINE": "1",
        "MLX_HOSTFILE": "/run/mlx-a/group.json",
        "MLX_IBV_DEVICES": null,
        "MLX_JACCL_COORDINATOR": null,
        "MLX_JACCL_RING": null,
        "MLX_METAL_FAST_SYNCH": null,
        "MLX_RANK": "1",
        "MLX_RING_VERBOSE": "1",
        "PYTHONUNBUFFERED": "1",
        "TRANSFORMERS_OFFLINE": "1",
      },
    }
  `)
})

test('a rank over RDMA', () => {
  const rdma = [
    [null, 'rdma_en5'],
    ['rdma_en3', null],
  ]
  const jaccl = { ...order, backend: 'jaccl' as const, coordinator: '192.168.0.1:50100' }
  expect(shown({ ...jaccl, settings: { strategy: 'tensor', rdma } })).toMatchInlineSnapshot(`
    {
      "args": "-c LAUNCHER jaccl --model /models/x --host 127.0.0.1 --port 8080 --log-level INFO",
      "command": "/venv/bin/python3",
      "env": {
        "HF_HUB_OFFLINE": "1",
        "MLX_HOSTFILE": null,
        "MLX_IBV_DEVICES": "/run/mlx-a/group.json",
        "MLX_JACCL_COORDINATOR": "192.168.0.1:50100",
        "MLX_JACCL_RING": null,
        "MLX_METAL_FAST_SYNCH": null,
        "MLX_RANK": "1",
        "MLX_RING_VERBOSE": null,
        "PYTHONUNBUFFERED": "1",
        "TRANSFORMERS_OFFLINE": "1",
      },
    }
  `)
})

test('a stage of a pipeline', () => {
  const { args } = rankCommand({ ...order, settings: { strategy: 'pipeline', rdma: null } })
  expect(args).toContain('--pipeline')
})

test('nothing of it reaches the network by itself, and nothing waits on the GPU in a way that can wedge it', () => {
  const { args, env } = rankCommand(order)
  expect(args[args.indexOf('--host') + 1]).toBe('127.0.0.1')
  expect(env).toMatchObject({ HF_HUB_OFFLINE: '1', MLX_METAL_FAST_SYNCH: null })
})

describe('the hostfile as a rank sees it', () => {
  test('of two: itself and the way to the other', () => {
    const seen = ringHosts({ rank: 0, size: 2, own: '127.0.0.1:4001', next: '127.0.0.1:5001' })
    expect(seen).toEqual([['127.0.0.1:4001'], ['127.0.0.1:5001']])
  })

  test('of four: the last dials the first, and the others are only counted', () => {
    const seen = ringHosts({ rank: 3, size: 4, own: '127.0.0.1:4001', next: '127.0.0.1:5001' })
    expect(seen).toEqual([['127.0.0.1:5001'], ['127.0.0.1:1'], ['127.0.0.1:1'], ['127.0.0.1:4001']])
  })
})
