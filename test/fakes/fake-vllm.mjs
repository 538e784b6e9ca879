#!/usr/bin/env node
/**
 * A fake vLLM: a real program that speaks its documented OpenAI server with one model and one LoRA adapter. It tells
 * usage and no times. Prints {"port":N} once it listens.
 *
 *   node fake-vllm.mjs [--port 0] [--tokens 6] [--delay-ms 0] [--fault NAME]
 *   node fake-vllm.mjs --version
 *   node fake-vllm.mjs serve PATH --served-model-name ID --nnodes N --node-rank R --master-addr A --master-port P
 *                      --host 127.0.0.1 --port P | --headless     (as the real program over several machines)
 *   node fake-vllm.mjs serve PATH --served-model-name ID --distributed-executor-backend ray --host 127.0.0.1 --port P
 *
 * As the real one, a head waits for its followers at the master port, opens its HTTP port only when the model is loaded,
 * wants the key of VLLM_API_KEY, and a follower serves nothing. By Ray it connects to RAY_ADDRESS (fake-ray.mjs), waits
 * for as many cards as it splits into, and dies when a node leaves. It ends with the real one's words when the model is
 * not there, when its heads cannot be divided, or when NCCL_SOCKET_IFNAME is not the interface of VLLM_HOST_IP. Its
 * engine runs in a process of its own. FAKE_VLLM_VERSION is the version that it says; FAKE_VLLM_FAULT names a fault for
 * the whole run; with FAKE_VLLM_PYTHON, a Python that has Ray, its cluster is a real one.
 *
 * Documented faults:
 *   dead-engine     /health says 503 and requests 500 (EngineDeadError)
 *   silent-death    /health says 200 although the core is dead, requests 500
 *   context         (in a message) 400, the prompt is longer than max_model_len
 *   slow            (in a message) no fault: 600 words in half a minute
 *   cut-mid-stream  (in a message) closes the connection after three tokens
 *   engine-dies     (in a message, `serve` only) the engine dies: 500, /health 503, and the process ends a moment later
 *   outlives        (`serve` only) a follower goes on when its head is gone (vLLM #32136), and ignores SIGTERM
 *   out-of-memory   (`serve` only) the head ends with CUDA's words while it loads
 *   core-outlives   (`serve` only) the engine's process goes on when its server is gone, and ignores SIGTERM
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { faultIn, json, openAiAnswer, readOptions, serve, sleep } from './fake-server.mjs'

if (process.argv[2] === '--version') {
  process.stdout.write(`INFO 11-21 platform: cuda\n${process.env.FAKE_VLLM_VERSION ?? '0.18.1'}\n`)
  process.exit(0)
}
const cluster =
  process.argv[2] === 'serve' ? { path: process.argv[3], ...clusterOptions(process.argv.slice(4)) } : null
const options = cluster ?? readOptions({ tokens: 6, 'delay-ms': 0, fault: 'none' })
const model = cluster?.['served-model-name'] ?? 'meta-llama/Llama-3.1-70B-Instruct'
const row = { object: 'model', created: 1, owned_by: 'vllm', max_model_len: 32_768 }
let waits = false
let dead = options.fault === 'dead-engine' || options.fault === 'silent-death'

function clusterOptions(args) {
  const found = { tokens: 6, 'delay-ms': 0, fault: process.env.FAKE_VLLM_FAULT ?? 'none' }
  for (let at = 0; at < args.length; at++) {
    const name = args[at].slice(2)
    found[name] = args[at + 1] === undefined || args[at + 1].startsWith('--') ? true : args[++at]
  }
  return found
}

function fail(why) {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

/** What the real one finds out before it loads anything. */
function demandSound() {
  let config
  try {
    config = JSON.parse(readFileSync(join(cluster.path, 'config.json'), 'utf8'))
  } catch {
    return fail(`OSError: ${cluster.path} does not appear to have a file named config.json.`)
  }
  const heads = config.num_attention_heads
  const ways = Number(cluster['tensor-parallel-size'])
  if (heads % ways !== 0)
    fail(
      `ValueError: Total number of attention heads (${heads}) must be divisible by tensor parallel size (${ways}).`,
    )
  const { NCCL_SOCKET_IFNAME: name = '', VLLM_HOST_IP: own } = process.env
  if (!networkInterfaces()[name]?.some(({ address }) => address === own))
    fail(`RuntimeError: NCCL error: Bootstrap : no socket interface found (${name} has no ${own})`)
}

/** The engine's own process, as each of the real one's nodes has. */
function startCore() {
  const outlives = options.fault === 'core-outlives'
  const ignores = 'process.on("SIGTERM", () => undefined); setInterval(() => undefined, 1000)'
  const follows = 'process.stdin.on("close", () => process.exit()).resume()'
  const core = spawn(process.execPath, ['-e', outlives ? ignores : follows, 'EngineCore', cluster.path], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  core.on('exit', () => die('EngineCore died'))
}

/** The server tells for a moment that its engine is dead, and ends. */
function die(why) {
  dead = true
  options.fault = 'dead-engine'
  process.stderr.write(
    `vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue: ${why}.\n`,
  )
  setTimeout(() => process.exit(1), 1500)
}

function watchFakeRay() {
  const [host, port] = (process.env.RAY_ADDRESS ?? '').split(':')
  const socket = connect({ host, port: Number(port) })
  socket.on('error', () =>
    fail(`ConnectionError: Could not find a Ray cluster at ${process.env.RAY_ADDRESS}.`),
  )
  socket.on('close', () => die('the Ray cluster is gone'))
  socket.write('{}\n')
  return socket
}

/** Ray itself, by its Python. */
function watchRay(python) {
  const script = fileURLToPath(new URL('watch-ray.py', import.meta.url))
  const watcher = spawn(python, ['-u', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  watcher.on('exit', () => (dead ? undefined : die('the Ray cluster is gone')))
  return watcher.stdout
}

/** Waits for as many cards as it splits into; dies when a node leaves. */
async function joinRay() {
  const lines = process.env.FAKE_VLLM_PYTHON ? watchRay(process.env.FAKE_VLLM_PYTHON) : watchFakeRay()
  const wanted = Number(cluster['tensor-parallel-size']) * Number(cluster['pipeline-parallel-size'])
  let whole = false
  await new Promise((resolve) => {
    createInterface({ input: lines }).on('line', (line) => {
      const cards = JSON.parse(line).reduce((sum, node) => sum + node.cards, 0)
      if (whole && cards < wanted) die('ray.exceptions.ActorDiedError: The actor died unexpectedly')
      if (cards < wanted) return
      whole = true
      resolve()
    })
  })
}

async function joinCluster() {
  demandSound()
  startCore()
  if (cluster['distributed-executor-backend'] === 'ray') await joinRay()
  else if (cluster.headless) await followHead(cluster['master-addr'], Number(cluster['master-port']))
  else await meetFollowers()
  await sleep(200)
  if (options.fault === 'out-of-memory')
    fail('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.')
}

/** The head waits until all have come, and for ever for one that is gone: NCCL tells nobody. */
function meetFollowers() {
  const followers = []
  return new Promise((resolve) => {
    const meeting = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        waits = true
      })
      if (followers.push(socket) >= Number(cluster.nnodes) - 1) resolve()
    })
    meeting.listen(Number(cluster['master-port']), cluster['master-addr'])
  })
}

/** A follower stays connected to the head. */
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
  if (cluster && faultIn(body) === 'engine-dies') die('asked to')
  if (waits) await new Promise(() => undefined)
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
  const pace =
    fault === 'slow' ? { count: 600, delayMs: 50 } : { count: options.tokens, delayMs: options['delay-ms'] }
  await openAiAnswer(body, response, { ...pace, fault })
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
