#!/usr/bin/env node
/**
 * A fake LM Studio: a real program that speaks its documented REST interfaces (v1 of 0.4 and later, v0 before) and
 * knows `qwen/qwen3-4b` and the embedding model `text-embedding-nomic`. It loads on the first request (JIT), as LM
 * Studio does. Prints {"port":N} once it listens.
 *
 *   node fake-lm-studio.mjs [--port 0] [--api v1|v0] [--tokens 6] [--delay-ms 0] [--fault NAME]
 *
 * Documented faults:
 *   guardrail        500 on a load: "insufficient system resources" (its memory guardrails)
 *   cut-mid-stream   (also in a message) closes the connection after three tokens: the model crashed
 *   puzzled          200 and {"error":"Unexpected endpoint or method..."} for paths it does not know: always so
 */
import { faultIn, json, openAiAnswer, readOptions, serve } from './fake-server.mjs'

const options = readOptions({ api: 'v1', tokens: 6, 'delay-ms': 0, fault: 'none' })
const models = [
  {
    type: 'llm',
    publisher: 'qwen',
    key: 'qwen/qwen3-4b',
    display_name: 'Qwen3 4B',
    architecture: 'qwen3',
    quantization: { name: '4bit', bits_per_weight: 4 },
    size_bytes: 2_278_972_516,
    params_string: '4B',
    max_context_length: 40_960,
    format: 'mlx',
    loaded_instances: [],
  },
  {
    type: 'embedding',
    publisher: 'nomic',
    key: 'text-embedding-nomic',
    display_name: 'Nomic',
    architecture: 'nomic-bert',
    quantization: { name: 'F16', bits_per_weight: 16 },
    size_bytes: 274_290_560,
    params_string: null,
    max_context_length: 2048,
    format: 'gguf',
    loaded_instances: [],
  },
]
const find = (name) => models.find(({ key }) => key === name)

function load(model, context = 8192) {
  if (model.loaded_instances.length === 0)
    model.loaded_instances.push({ id: model.key, config: { context_length: context, parallel: 4 } })
}

const v1 = {
  'GET /api/v1/models': (_, response) => json(response, 200, { models }),
  'POST /api/v1/models/load': (body, response) => {
    if (options.fault === 'guardrail') {
      return json(response, 500, {
        error: {
          type: 'model_load_failed',
          message: 'Model loading was stopped due to insufficient system resources.',
        },
      })
    }
    const model = find(body.model)
    if (!model)
      return json(response, 404, {
        error: { type: 'model_not_found', message: `Model ${body.model} not found` },
      })
    load(model, body.context_length)
    json(response, 200, {
      type: model.type,
      instance_id: model.key,
      load_time_seconds: 1.5,
      status: 'loaded',
    })
  },
  'POST /api/v1/models/unload': (body, response) => {
    const model = models.find(({ loaded_instances }) =>
      loaded_instances.some(({ id }) => id === body.instance_id),
    )
    if (!model)
      return json(response, 404, { error: { type: 'model_not_found', message: 'No such instance' } })
    model.loaded_instances = []
    json(response, 200, { instance_id: body.instance_id })
  },
}

async function chat(body, response, stats) {
  const model = find(body.model)
  if (!model)
    return json(response, 404, {
      error: { message: `Model "${body.model}" not found`, code: 'model_not_found' },
    })
  load(model)
  const more = stats
    ? {
        stats: {
          tokens_per_second: 51.5,
          time_to_first_token: 0.2,
          generation_time: 0.12,
          stop_reason: 'eosFound',
        },
        model_info: { arch: 'qwen3' },
      }
    : {}
  await openAiAnswer(body, response, {
    count: options.tokens,
    delayMs: options['delay-ms'],
    more,
    fault: faultIn(body),
  })
}

serve(
  options.port,
  {
    ...(options.api === 'v1' ? v1 : {}),
    'GET /api/v0/models': (_, response) =>
      json(response, 200, {
        object: 'list',
        data: models.map((model) => ({
          id: model.key,
          object: 'model',
          type: model.type === 'llm' ? 'llm' : 'embeddings',
          arch: model.architecture,
          compatibility_type: model.format,
          quantization: model.quantization.name,
          state: model.loaded_instances.length > 0 ? 'loaded' : 'not-loaded',
          max_context_length: model.max_context_length,
        })),
      }),
    'GET /v1/models': (_, response) =>
      json(response, 200, {
        object: 'list',
        data: models.map(({ key }) => ({ id: key, object: 'model', owned_by: 'organization_owner' })),
      }),
    'POST /v1/chat/completions': (body, response) => chat(body, response, false),
    'POST /api/v0/chat/completions': (body, response) => chat(body, response, true),
  },
  (_, response, request) =>
    json(response, 200, { error: `Unexpected endpoint or method. (${request.method} ${request.url})` }),
)
