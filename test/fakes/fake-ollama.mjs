#!/usr/bin/env node
/**
 * A fake Ollama: a real program that speaks Ollama's documented API and knows three models: `llama3.2:3b`,
 * `nomic-embed-text:latest` (embedding) and `gpt-oss:120b-cloud`, which runs in the cloud. It answers counted words
 * and echoes with "show:request" what it was sent. Prints {"port":N} once it listens.
 *
 *   node fake-ollama.mjs [--port 0] [--tokens 6] [--delay-ms 0] [--fault NAME]
 *
 * Documented faults, by --fault or by a message that contains "fault:NAME":
 *   no-prompt-count   leaves prompt_eval_count out, as for a prompt in its cache
 *   error-mid-stream  sends {"error":...} after three tokens and closes (a runner that crashed)
 *   cut-mid-stream    closes the connection after three tokens
 *   no-done           ends the answer without "done":true
 *   busy              503, as when OLLAMA_MAX_QUEUE are waiting
 *   no-memory         500 on a load, "model requires more system memory"
 */
import { faultIn, json, lastWords, readOptions, serve, sleep, words } from './fake-server.mjs'

const options = readOptions({ tokens: 6, 'delay-ms': 0, fault: 'none' })
const details = {
  format: 'gguf',
  family: 'llama',
  families: ['llama'],
  parameter_size: '3.2B',
  quantization_level: 'Q4_K_M',
}
const disk = [
  { name: 'llama3.2:3b', model: 'llama3.2:3b', size: 2_019_393_189, digest: 'a80c4f17acd5', details },
  {
    name: 'nomic-embed-text:latest',
    model: 'nomic-embed-text:latest',
    size: 274_302_450,
    digest: '0a109f422b47',
    details: { ...details, family: 'nomic-bert', parameter_size: '137M', quantization_level: 'F16' },
  },
  {
    name: 'gpt-oss:120b-cloud',
    model: 'gpt-oss:120b-cloud',
    remote_model: 'gpt-oss:120b',
    remote_host: 'https://ollama.com:443',
    size: 384,
    digest: '569662207105',
    details: { ...details, family: 'gptoss', parameter_size: '116.8B', quantization_level: 'MXFP4' },
  },
]
const loaded = new Map()

function load(name) {
  const model = disk.find((each) => each.name === name)
  if (!model) return false
  loaded.set(name, {
    ...model,
    size: model.size * 2,
    size_vram: model.size,
    context_length: 4096,
    expires_at: '2030-01-01T00:00:00Z',
  })
  return true
}

const missing = (response, name) => json(response, 404, { error: `model '${name}' not found` })

async function generate(body, response) {
  if (!disk.some(({ name }) => name === body.model)) return missing(response, body.model)
  const done = { model: body.model, created_at: new Date().toISOString(), response: '', done: true }
  if (body.keep_alive === 0 && !body.prompt) {
    loaded.delete(body.model)
    return json(response, 200, { ...done, done_reason: 'unload' })
  }
  if (options.fault === 'no-memory') {
    return json(response, 500, {
      error: 'model requires more system memory (9.9 GiB) than is available (3.1 GiB)',
    })
  }
  if (body.model.startsWith('nomic'))
    return json(response, 400, { error: `"${body.model}" does not support generate` })
  load(body.model)
  json(response, 200, { ...done, done_reason: 'load' })
}

async function chat(body, response) {
  const fault = faultIn(body, options.fault)
  if (fault === 'busy')
    return json(response, 503, { error: 'server busy, please try again.  maximum pending requests exceeded' })
  if (!load(body.model)) return missing(response, body.model)
  const head = { model: body.model, created_at: new Date().toISOString() }
  const limit = body.options?.num_predict ?? options.tokens
  const shown = lastWords(body).includes('show:request')
    ? [JSON.stringify(body)]
    : words(Math.min(limit, options.tokens))
  const wantsTool = (body.tools ?? []).length > 0 && !lastWords(body).includes('no tool')
  const tool_calls = wantsTool
    ? [{ function: { name: body.tools[0].function.name, arguments: { city: 'Paris', days: 2 } } }]
    : undefined
  const figures = {
    total_duration: 5_000_000_000,
    load_duration: 1_000_000_000,
    ...(fault === 'no-prompt-count' ? {} : { prompt_eval_count: 20, prompt_eval_duration: 100_000_000 }),
    eval_count: shown.length,
    eval_duration: shown.length * 20_000_000,
  }
  const last = {
    ...head,
    message: { role: 'assistant', content: '' },
    done: true,
    done_reason: limit < options.tokens ? 'length' : 'stop',
    ...figures,
  }
  if (body.stream === false) {
    await sleep(options['delay-ms'] * shown.length)
    const message = {
      role: 'assistant',
      content: wantsTool ? '' : shown.join(''),
      ...(tool_calls ? { tool_calls } : {}),
    }
    return json(response, 200, { ...last, message })
  }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  const line = (value) => response.write(`${JSON.stringify(value)}\n`)
  if (wantsTool) line({ ...head, message: { role: 'assistant', content: '', tool_calls }, done: false })
  if (body.think)
    line({ ...head, message: { role: 'assistant', content: '', thinking: 'Well.' }, done: false })
  for (const [index, word] of (wantsTool ? [] : shown).entries()) {
    if (options['delay-ms'] > 0) await sleep(options['delay-ms'])
    if (response.destroyed) return
    if (index === 3 && fault === 'cut-mid-stream') {
      await sleep(20)
      return response.destroy()
    }
    if (index === 3 && fault === 'error-mid-stream')
      return response.end('{"error":"llama runner process has terminated"}\n')
    line({ ...head, message: { role: 'assistant', content: word }, done: false })
  }
  if (fault === 'no-done') return response.end()
  response.end(`${JSON.stringify(last)}\n`)
}

async function embed(body, response) {
  if (!load(body.model)) return missing(response, body.model)
  const inputs = Array.isArray(body.input) ? body.input : [body.input]
  json(response, 200, { model: body.model, embeddings: inputs.map((text) => [String(text).length, 1]) })
}

async function openAiEmbed(body, response) {
  if (!load(body.model)) return missing(response, body.model)
  const inputs = Array.isArray(body.input) ? body.input : [body.input]
  const data = inputs.map((text, index) => ({
    object: 'embedding',
    index,
    embedding: [String(text).length, 1],
  }))
  json(response, 200, {
    object: 'list',
    data,
    model: body.model,
    usage: { prompt_tokens: 3, total_tokens: 3 },
  })
}

function show(body, response) {
  const embedding = String(body.model).startsWith('nomic')
  json(response, 200, {
    details,
    capabilities: embedding ? ['embedding'] : ['completion', 'tools'],
    model_info: {
      'general.architecture': 'llama',
      'general.parameter_count': 3_212_749_888,
      'llama.context_length': 131_072,
    },
  })
}

serve(
  options.port,
  {
    'GET /': (_, response) => response.end('Ollama is running'),
    'GET /api/version': (_, response) => json(response, 200, { version: '0.33.0' }),
    'GET /api/tags': (_, response) => json(response, 200, { models: disk }),
    'GET /api/ps': (_, response) => json(response, 200, { models: [...loaded.values()] }),
    'POST /api/show': show,
    'POST /api/generate': generate,
    'POST /api/chat': chat,
    'POST /api/embed': embed,
    'POST /v1/embeddings': openAiEmbed,
    'GET /v1/models': (_, response) =>
      json(response, 200, {
        object: 'list',
        data: disk.map(({ name }) => ({ id: name, object: 'model', owned_by: 'library' })),
      }),
  },
  (_, response) => {
    response.writeHead(404)
    response.end('404 page not found')
  },
)
