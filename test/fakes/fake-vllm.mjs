#!/usr/bin/env node
/**
 * A fake vLLM: a real program that speaks its documented OpenAI server with one model and one LoRA adapter. It tells
 * usage and no times. Prints {"port":N} once it listens.
 *
 *   node fake-vllm.mjs [--port 0] [--tokens 6] [--delay-ms 0] [--fault NAME]
 *   node fake-vllm.mjs --version
 *   node fake-vllm.mjs serve PATH --served-model-name ID --nnodes N --node-rank R --master-addr A --master-port P
 *                      --host 127.0.0.1 --port P | --headless     (as the real program over several machines)
 *
 * As the real one, a head waits for its followers at the master port, opens its HTTP port only when the model is loaded,
 * wants the key of VLLM_API_KEY, and a follower serves nothing. FAKE_VLLM_FAULT names a fault for the whole run.
 *
 * Documented faults:
 *   dead-engine     /health says 503 and requests 500 (EngineDeadError)
 *   silent-death    /health says 200 although the core is dead, requests 500
 *   context         (in a message) 400, the prompt is longer than max_model_len
 *   cut-mid-stream  (in a message) closes the connection after three tokens
 *   engine-dies     (in a message, `serve` only) the engine dies: 500, /health 503, and the process ends a moment later
 *   outlives        (`serve` only) a follower goes on when its head is gone (vLLM #32136), and ignores SIGTERM
 *   out-of-memory   (`serve` only) the head ends with CUDA's words while it loads
 */
import { connect, createServer } from 'node:net'
import { faultIn, json, openAiAnswer, readOptions, serve, sleep } from './fake-server.mjs'

if (process.argv[2] === '--version') {
  process.stdout.write('INFO 11-21 platform: cuda\n0.18.1\n')
  process.exit(0)
}
const cluster = process.argv[2] === 'serve' ? clusterOptions(process.argv.slice(4)) : null
const options = cluster ?? readOptions({ tokens: 6, 'delay-ms': 0, fault: 'none' })
const model = cluster?.['served-model-name'] ?? 'meta-llama/Llama-3.1-70B-Instruct'
const row = { object: 'model', created: 1, owned_by: 'vllm', max_model_len: 32_768 }
let dead = options.fault === 'dead-engine' || options.fault === 'silent-death'

function clusterOptions(args) {
  const found = { tokens: 6, 'delay-ms': 0, fault: process.env.FAKE_VLLM_FAULT ?? 'none' }
  for (let at = 0; at < args.length; at++) {
    const name = args[at].slice(2)
    found[name] = args[at + 1] === undefined || args[at + 1].startsWith('--') ? true : args[++at]
  }
  return found
}

/** A follower stays connected to the head; the head waits until all have come. */
async function joinCluster() {
  const { 'master-addr': host, 'master-port': port, nnodes, headless } = cluster
  if (headless) return followHead(host, Number(port))
  const followers = []
  await new Promise((resolve) => {
    const meeting = createServer((socket) => {
      socket.on('error', () => undefined)
      if (followers.push(socket) >= Number(nnodes) - 1) resolve()
    })
    meeting.listen(Number(port), host)
  })
  await sleep(200)
  if (options.fault !== 'out-of-memory') return
  process.stderr.write('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n')
  process.exit(1)
}

async function followHead(host, port) {
  const outlives = options.fault === 'outlives'
  if (outlives) process.on('SIGTERM', () => undefined)
  for (;;) {
    const socket = connect({ host, port })
    socket.on('error', () => undefined)
    const joined = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('close', () => resolve(false))
    })
    if (!joined) {
      await sleep(50)
      continue
    }
    await new Promise((resolve) => socket.once('close', resolve))
    if (!outlives) process.exit(1)
    setInterval(() => undefined, 1000)
    return new Promise(() => undefined)
  }
}

async function chat(body, response, request) {
  const key = process.env.VLLM_API_KEY
  if (cluster && request.headers.authorization !== `Bearer ${key}`)
    return json(response, 401, { error: 'Unauthorized' })
  if (cluster && faultIn(body) === 'engine-dies') {
    dead = true
    options.fault = 'dead-engine'
    process.stderr.write('vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.\n')
    setTimeout(() => process.exit(1), 1500)
  }
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

if (cluster) await joinCluster()

serve(
  Number(options.port),
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
