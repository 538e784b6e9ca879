#!/usr/bin/env node
/**
 * A fake exo: a real program that speaks the documented HTTP interface of exo with two machines and two downloaded
 * models (one of 671B for which there is no room). Bodies are cased as exo's are: camelCase in state, snake_case around
 * previews. Prints {"port":N} once it listens.
 *
 *   node fake-exo.mjs [--port 0] [--tokens 6] [--delay-ms 0] [--fault NAME]
 *
 * A machine that is gone is in no preview any more. For tests alone, POST /test/cluster takes `nodes`, the machines that
 * are there, and `least`, on how many the model fits at least; POST /test/fail lets a runner fail.
 *
 * Documented faults:
 *   runner-failed    the runner fails while it loads (RunnerFailed)
 *   error-mid-stream (in a message) an error event after three tokens, then [DONE], status 200
 *   vanish           (in a message) the stream ends after three tokens without finish_reason and [DONE]; a whole answer
 *                    comes with status 200 and no finish_reason: its instance was deleted
 *   hang             (in a message) after three tokens only keep-alive comments, for ever: a rank is stopped
 *   machine-gone     (in a message) machine b leaves the topology while its instance stays registered, and the stream
 *                    hangs as above
 *   runner-dies      (in a message) a runner goes to RunnerFailed after it was ready, and the stream hangs as above
 */
import { faultIn, json, readOptions, serve, sleep, words } from './fake-server.mjs'

const options = readOptions({ tokens: 6, 'delay-ms': 0, fault: 'none' })
const small = 'mlx-community/Qwen3-30B-A3B-4bit'
const large = 'mlx-community/DeepSeek-V3.1-8bit'
const rowOf = (id, megabytes) => ({
  id,
  object: 'model',
  created: 1,
  owned_by: 'exo',
  storage_size_megabytes: megabytes,
  quantization: '4bit',
  family: 'qwen',
  context_length: 40_960,
  tags: [],
})
const catalogue = [rowOf(small, 17_000), rowOf(large, 700_000), rowOf('mlx-community/not-downloaded', 5)]
let nodes = ['a', 'b']
let least = 1
const instances = {}
const runners = {}

const instanceFor = (id, nodes, tag = 'MlxRingInstance') => ({
  [tag]: {
    instanceId: id,
    shardAssignments: {
      modelId: small,
      runnerToShard: {},
      nodeToRunner: Object.fromEntries(nodes.map((node) => [node, `${id}-${node}`])),
    },
    hostsByNode: {},
    ephemeralPort: 5000,
  },
})

function previews(_, response, __, url) {
  const model_id = url.searchParams.get('model_id')
  const base = { model_id, sharding: 'Pipeline', instance_meta: 'MlxRing' }
  if (model_id !== small)
    return json(response, 200, {
      previews: [
        {
          ...base,
          instance: null,
          memory_delta_by_node: null,
          error: 'No cycles found with sufficient memory',
        },
      ],
    })
  const preview = (id, on, more = {}, tag = 'MlxRingInstance') => ({
    ...base,
    ...more,
    instance: instanceFor(id, on, tag),
    memory_delta_by_node: Object.fromEntries(on.map((node) => [node, 18 / on.length])),
    error: null,
  })
  const tensor = { sharding: 'Tensor' }
  const all = [
    preview('two', ['a', 'b']),
    preview('one', ['a']),
    preview('tensor', ['a', 'b'], tensor),
    preview('rdma', ['a', 'b'], { ...tensor, instance_meta: 'MlxJaccl' }, 'MlxJacclInstance'),
  ]
  const canBe = ({ memory_delta_by_node: on }) =>
    Object.keys(on).length >= least && Object.keys(on).every((node) => nodes.includes(node))
  const error = 'No cycles found with sufficient memory'
  const refused = { ...base, instance: null, memory_delta_by_node: null, error }
  json(response, 200, { previews: all.map((each) => (canBe(each) ? each : refused)) })
}

/** Unions are tagged by the name of their class. */
const innerOf = (instance) => instance?.MlxRingInstance ?? instance?.MlxJacclInstance

async function create(body, response) {
  const inner = innerOf(body.instance)
  if (!inner) return json(response, 422, { detail: [{ msg: 'Field required' }] })
  json(response, 200, { message: 'Command received.', command_id: 'c1', model_card: {} })
  await sleep(100)
  instances[inner.instanceId] = body.instance
  const ids = Object.values(inner.shardAssignments.nodeToRunner)
  for (const id of ids) runners[id] = { RunnerLoading: { layersLoaded: 12, totalLayers: 48 } }
  await sleep(700)
  const end =
    options.fault === 'runner-failed'
      ? { RunnerFailed: { errorMessage: 'Metal ran out of memory', diagnostics: [] } }
      : { RunnerReady: { prefillServerPort: null } }
  for (const id of ids) if (instances[inner.instanceId]) runners[id] = end
}

function failRunner() {
  const [first] = Object.keys(runners)
  runners[first] = { RunnerFailed: { errorMessage: 'RDMA peer lost', diagnostics: [] } }
}

async function chat(body, response) {
  if (!Object.values(instances).some((each) => innerOf(each).shardAssignments.modelId === body.model)) {
    return json(response, 404, {
      error: {
        message: `No instance found for model ${body.model}`,
        type: 'Not Found',
        param: null,
        code: 404,
      },
    })
  }
  const fault = faultIn(body)
  const all = words(Math.min(options.tokens, body.max_tokens ?? options.tokens))
  const head = { id: 'cmd-1', object: 'chat.completion', created: 1, model: body.model }
  const usage = { prompt_tokens: 7, completion_tokens: all.length, total_tokens: 7 + all.length }
  if (body.stream !== true) {
    const finish_reason = fault === 'vanish' ? null : 'stop'
    return json(response, 200, {
      ...head,
      choices: [{ index: 0, message: { role: 'assistant', content: all.join('') }, finish_reason }],
      usage,
    })
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(': keep-alive\n\n')
  for (const [index, word] of all.entries()) {
    if (options['delay-ms'] > 0) await sleep(options['delay-ms'])
    if (response.destroyed) return
    if (index === 3 && fault === 'vanish') return response.end()
    if (index === 3 && fault === 'machine-gone') nodes = ['a']
    if (index === 3 && fault === 'runner-dies') {
      failRunner()
    }
    if (index === 3 && ['hang', 'machine-gone', 'runner-dies'].includes(fault)) {
      while (!response.destroyed) {
        response.write(': keep-alive\n\n')
        await sleep(200)
      }
      return
    }
    if (index === 3 && fault === 'error-mid-stream') {
      return response.end(
        'data: {"error":{"message":"Runner shutdown before completing command","type":"InternalServerError","code":500}}\n\ndata: [DONE]\n\n',
      )
    }
    const last = index === all.length - 1
    const finish_reason = last ? (all.length < options.tokens ? 'length' : 'stop') : null
    response.write(
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: { role: 'assistant', content: word }, finish_reason }], ...(last ? { usage } : {}) })}\n\n`,
    )
  }
  response.end(': generation_stats {"prompt_tps":100,"generation_tps":20}\n\ndata: [DONE]\n\n')
}

serve(
  options.port,
  {
    'GET /v1/models': (_, response, __, url) =>
      json(response, 200, {
        object: 'list',
        data: url.searchParams.get('status') === 'downloaded' ? catalogue.slice(0, 2) : catalogue,
      }),
    'GET /state/instances': (_, response) => json(response, 200, instances),
    'GET /state/runners': (_, response) => json(response, 200, runners),
    'GET /state/topology': (_, response) => json(response, 200, { nodes, connections: {} }),
    'GET /state/nodeIdentities': (_, response) =>
      json(response, 200, {
        a: { modelId: 'Mac16,9', chipId: 'Apple M4 Max', friendlyName: 'studio', osVersion: '26.2' },
        b: { modelId: 'Mac16,5', chipId: 'Apple M4 Max', friendlyName: 'book', osVersion: '26.2' },
        ghost: { modelId: 'Mac15,14', chipId: 'Apple M3 Ultra', friendlyName: 'ghost', osVersion: '26.2' },
      }),
    'POST /test/cluster': (body, response) => {
      nodes = body.nodes ?? nodes
      least = body.least ?? least
      json(response, 200, {})
    },
    'POST /test/fail': (_, response) => {
      failRunner()
      json(response, 200, {})
    },
    'GET /state/nodeMemory': (_, response) =>
      json(response, 200, {
        a: { ramTotal: { inBytes: 64e9 }, ramAvailable: { inBytes: 40e9 } },
        b: { ramTotal: { inBytes: 64e9 }, ramAvailable: { inBytes: 30e9 } },
        ghost: { ramTotal: { inBytes: 512e9 }, ramAvailable: { inBytes: 512e9 } },
      }),
    'GET /instance/previews': previews,
    'POST /instance': create,
    'POST /v1/chat/completions': chat,
  },
  (_, response, request, url) => {
    const id = /^\/instance\/(.+)$/.exec(url.pathname)?.[1]
    if (request.method !== 'DELETE' || !instances[id])
      return json(response, 404, {
        error: { message: 'Not Found', type: 'Not Found', param: null, code: 404 },
      })
    for (const runner of Object.values(innerOf(instances[id]).shardAssignments.nodeToRunner))
      delete runners[runner]
    delete instances[id]
    json(response, 200, { message: 'Command received.', command_id: 'c2', instance_id: id })
  },
)
