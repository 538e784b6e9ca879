#!/usr/bin/env node
/**
 * A fake vLLM: a real program that speaks its documented OpenAI server with one model and one LoRA adapter. It tells
 * usage and no times. Prints {"port":N} once it listens.
 *
 *   node fake-vllm.mjs [--port 0] [--tokens 6] [--delay-ms 0] [--fault NAME]
 *
 * Documented faults:
 *   dead-engine     /health says 503 and requests 500 (EngineDeadError)
 *   silent-death    /health says 200 although the core is dead, requests 500
 *   context         (in a message) 400, the prompt is longer than max_model_len
 *   cut-mid-stream  (in a message) closes the connection after three tokens
 */
import { faultIn, json, openAiAnswer, readOptions, serve } from './fake-server.mjs'

const options = readOptions({ tokens: 6, 'delay-ms': 0, fault: 'none' })
const model = 'meta-llama/Llama-3.1-70B-Instruct'
const row = { object: 'model', created: 1, owned_by: 'vllm', max_model_len: 32_768 }
const dead = options.fault === 'dead-engine' || options.fault === 'silent-death'

async function chat(body, response) {
  if (dead)
    return json(response, 500, {
      object: 'error',
      message: 'EngineCore encountered an issue.',
      type: 'InternalServerError',
      code: 500,
    })
  if (![model, 'sql-lora'].includes(body.model))
    return json(response, 404, {
      error: {
        message: `The model \`${body.model}\` does not exist.`,
        type: 'NotFoundError',
        param: 'model',
        code: 404,
      },
    })
  const fault = faultIn(body)
  if (fault === 'context')
    return json(response, 400, {
      error: {
        message: "This model's maximum context length is 32768 tokens.",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    })
  await openAiAnswer(body, response, { count: options.tokens, delayMs: options['delay-ms'], fault })
}

serve(
  options.port,
  {
    'GET /health': (_, response) => response.writeHead(options.fault === 'dead-engine' ? 503 : 200).end(),
    'GET /version': (_, response) => json(response, 200, { version: '0.18.0' }),
    'GET /v1/models': (_, response) =>
      json(response, 200, {
        object: 'list',
        data: [
          { id: model, root: model, parent: null, ...row },
          { id: 'sql-lora', root: '/loras/sql', parent: model, ...row, max_model_len: null },
        ],
      }),
    'POST /v1/chat/completions': chat,
  },
  (_, response) => json(response, 404, { detail: 'Not Found' }),
)
