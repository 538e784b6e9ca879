import { expect, test } from 'vitest'
import { type NodeOrder, nodeCommands } from './node-command.ts'

const order: NodeOrder = {
  vllm: '/venv/bin/vllm',
  ray: '/venv/bin/ray',
  modelPath: '/models/x',
  model: 'org/x',
  settings: { launcher: 'own', tensor: 8, pipeline: 2, contextTokens: 32_768, parallel: 16 },
  rank: 0,
  size: 2,
  head: { host: '10.0.0.1', port: 29_501 },
  host: '10.0.0.1',
  networkInterface: 'eth1',
  httpPort: 8001,
  secret: 'SECRET',
}
const follower = { rank: 1, host: '10.0.0.2' }
const ray = { settings: { ...order.settings, launcher: 'ray' as const } }
const lines = (of: NodeOrder) => nodeCommands(of).map(({ command, args }) => [command, ...args].join(' '))

test('a head by its own launcher', () => {
  expect(lines(order)).toMatchInlineSnapshot(`
    [
      "/venv/bin/vllm serve /models/x --served-model-name org/x --tensor-parallel-size 8 --pipeline-parallel-size 2 --max-model-len 32768 --max-num-seqs 16 --distributed-executor-backend mp --nnodes 2 --node-rank 0 --master-addr 10.0.0.1 --master-port 29501 --host 127.0.0.1 --port 8001",
    ]
  `)
  expect(nodeCommands(order)[0]?.env).toMatchInlineSnapshot(`
    {
      "DO_NOT_TRACK": "1",
      "GLOO_SOCKET_IFNAME": "eth1",
      "HF_HUB_OFFLINE": "1",
      "NCCL_SOCKET_IFNAME": "eth1",
      "RAY_ADDRESS": null,
      "VLLM_API_KEY": "SECRET",
      "VLLM_HOST_IP": "10.0.0.1",
      "VLLM_NO_USAGE_STATS": "1",
    }
  `)
})

test('a follower by its own launcher serves nothing and knows no key', () => {
  expect(lines({ ...order, ...follower })).toMatchInlineSnapshot(`
    [
      "/venv/bin/vllm serve /models/x --served-model-name org/x --tensor-parallel-size 8 --pipeline-parallel-size 2 --max-model-len 32768 --max-num-seqs 16 --distributed-executor-backend mp --nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 29501 --headless",
    ]
  `)
  expect(nodeCommands({ ...order, ...follower })[0]?.env.VLLM_API_KEY).toBeNull()
})

test('a head by Ray', () => {
  expect(lines({ ...order, ...ray })).toMatchInlineSnapshot(`
    [
      "/venv/bin/ray start --head --port 29501 --node-ip-address 10.0.0.1 --disable-usage-stats --block --include-dashboard false",
      "/venv/bin/vllm serve /models/x --served-model-name org/x --tensor-parallel-size 8 --pipeline-parallel-size 2 --max-model-len 32768 --max-num-seqs 16 --distributed-executor-backend ray --host 127.0.0.1 --port 8001",
    ]
  `)
})

test('a follower by Ray', () => {
  expect(lines({ ...order, ...ray, ...follower })).toMatchInlineSnapshot(`
    [
      "/venv/bin/ray start --address 10.0.0.1:29501 --node-ip-address 10.0.0.2 --disable-usage-stats --block",
    ]
  `)
})

test('the key stands in no command line', () => {
  for (const of of [order, { ...order, ...ray }]) expect(lines(of).join(' ')).not.toContain('SECRET')
})
