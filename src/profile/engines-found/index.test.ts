import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { findEngines, usualPorts } from './index.ts'

const servers: { close(): void }[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

type Reply = { status?: number; body: unknown }

/** A server with the documented answers of one engine; every path it does not know is a 404 like theirs. */
function engine(paths: Record<string, Reply>, headers: Record<string, string> = {}, otherwise?: Reply) {
  const answer: RequestListener = (request, response) => {
    const reply = paths[request.url ?? ''] ?? otherwise ?? { status: 404, body: { error: 'not found' } }
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...headers }).end(text)
  }
  return listen(createServer(answer))
}

const list = (...models: object[]) => ({
  body: {
    object: 'list',
    data: models.map((model) => ({ object: 'model', created: 1_790_000_000, ...model })),
  },
})
const nothingInstalled = () => ({ env: {}, userFolder: mkdtempSync(join(tmpdir(), 'holon-user-')) })
const find = (port: number) => findEngines({ ...nothingInstalled(), ports: [port], patienceMs: 2000 })

describe('a running engine is known by what it answers', () => {
  it('Ollama', async () => {
    const model = (name: string) => ({
      ...{
        name,
        model: name,
        modified_at: '2026-08-21T10:00:00Z',
        size: 2_019_393_189,
        digest: 'a80c4f17acd5',
      },
      details: { format: 'gguf', family: 'llama', parameter_size: '3.2B', quantization_level: 'Q4_K_M' },
    })
    const port = await engine({
      '/': { body: 'Ollama is running' },
      '/api/tags': { body: { models: [model('llama3.2:3b'), model('qwen3:8b')] } },
      '/api/version': { body: { version: '0.13.1' } },
      '/v1/models': list({ id: 'llama3.2:3b', owned_by: 'library' }),
    })
    expect(await find(port)).toEqual([
      {
        ...{ id: 'ollama', available: true, version: '0.13.1', path: null, url: `http://127.0.0.1:${port}` },
        ...{ models: ['llama3.2:3b', 'qwen3:8b'], whyNot: null, hint: null },
      },
    ])
  })

  it('Ollama without any model', async () => {
    const port = await engine({
      '/': { body: 'Ollama is running' },
      '/api/tags': { body: { models: [] } },
      '/api/version': { body: { version: '0.13.1' } },
      '/v1/models': { body: { object: 'list', data: null } },
    })
    expect(await find(port)).toMatchObject([{ id: 'ollama', models: [] }])
  })

  it('LM Studio from 0.4 on', async () => {
    const port = await engine({
      '/v1/models': list({ id: 'google/gemma-4-26b-a4b', owned_by: 'organization_owner' }),
      '/api/v1/models': {
        body: {
          models: [
            {
              ...{
                type: 'llm',
                publisher: 'google',
                key: 'google/gemma-4-26b-a4b',
                display_name: 'Gemma 4 26B A4B',
              },
              ...{
                quantization: { name: 'Q4_K_M', bits_per_weight: 4 },
                size_bytes: 17_990_911_801,
                format: 'gguf',
              },
              loaded_instances: [
                { id: 'google/gemma-4-26b-a4b', config: { context_length: 4096, parallel: 4 } },
              ],
            },
            { type: 'embedding', key: 'text-embedding-nomic', loaded_instances: [] },
          ],
        },
      },
    })
    expect(await find(port)).toMatchObject([
      { id: 'lmstudio', available: true, models: ['google/gemma-4-26b-a4b', 'text-embedding-nomic'] },
    ])
  })

  it('LM Studio before 0.4, which answers 200 to questions it does not know', async () => {
    const port = await engine(
      {
        '/v1/models': list({ id: 'qwen2-vl-7b-instruct', owned_by: 'organization_owner' }),
        '/api/v0/models': list({
          ...{ id: 'qwen2-vl-7b-instruct', type: 'vlm', publisher: 'mlx-community', arch: 'qwen2_vl' },
          ...{
            compatibility_type: 'mlx',
            quantization: '4bit',
            state: 'not-loaded',
            max_context_length: 32_768,
          },
        }),
      },
      {},
      { body: { error: 'Unexpected endpoint or method. (GET /)' } },
    )
    expect(await find(port)).toMatchObject([{ id: 'lmstudio', models: ['qwen2-vl-7b-instruct'] }])
  })

  it('LM Studio without any model', async () => {
    const port = await engine(
      { '/v1/models': list(), '/api/v1/models': { body: { models: [] } } },
      {},
      { body: { error: 'Unexpected endpoint or method. (GET /)' } },
    )
    expect(await find(port)).toMatchObject([{ id: 'lmstudio', models: [] }])
  })

  it('llama-server', async () => {
    const port = await engine(
      {
        '/v1/models': list({ id: 'qwen.gguf', owned_by: 'llamacpp', meta: { n_ctx_train: 32_768 } }),
        '/props': { body: { total_slots: 4, build_info: 'b1-de3ff81', model_path: '/models/qwen.gguf' } },
      },
      { server: 'llama.cpp' },
    )
    expect(await find(port)).toMatchObject([
      { id: 'llama-server', available: true, version: 'b1-de3ff81', models: ['qwen.gguf'] },
    ])
  })

  it('llama-server in router mode, which has no model of its own', async () => {
    const port = await engine(
      {
        '/v1/models': list({ id: 'one', owned_by: 'llamacpp', status: { value: 'unloaded' } }),
        '/props': { body: { role: 'router', max_instances: 4, build_info: 'b1-de3ff81' } },
      },
      { server: 'llama.cpp' },
    )
    expect(await find(port)).toMatchObject([
      { id: 'llama-router', available: true, version: 'b1-de3ff81', models: ['one'] },
    ])
  })

  it('llama-server that is still loading is there, but cannot be used yet', async () => {
    const loading = { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } }
    const port = await engine({}, { server: 'llama.cpp' }, { status: 503, body: loading })
    expect(await find(port)).toMatchObject([
      { id: 'llama-server', available: false, whyNot: 'It is loading its model.' },
    ])
  })

  it('vLLM, also on the port of another', async () => {
    const model = { id: 'Qwen/Qwen3-8B', owned_by: 'vllm', root: 'Qwen/Qwen3-8B', max_model_len: 40_960 }
    const port = await engine({ '/v1/models': list(model), '/version': { body: { version: '0.18.0' } } })
    expect(await find(port)).toMatchObject([{ id: 'vllm', version: '0.18.0', models: ['Qwen/Qwen3-8B'] }])
  })

  it('vLLM with a key says that it asks for one', async () => {
    const port = await engine({
      '/v1/models': { status: 401, body: { error: 'Unauthorized' } },
      '/version': { body: { version: '0.18.0' } },
    })
    expect(await find(port)).toMatchObject([
      { id: 'vllm', available: false, whyNot: 'It asks for an API key.' },
    ])
  })

  it('exo, with the models that are here and not its whole catalogue', async () => {
    const model = (id: string) => ({ id, owned_by: 'exo', hugging_face_id: id, storage_size_megabytes: 4096 })
    const port = await engine({
      '/v1/models': list(model('mlx-community/Qwen3-0.6B-4bit'), model('mlx-community/DeepSeek-V3.1-4bit')),
      '/v1/models?status=downloaded': list(model('mlx-community/Qwen3-0.6B-4bit')),
    })
    expect(await find(port)).toMatchObject([{ id: 'exo', models: ['mlx-community/Qwen3-0.6B-4bit'] }])
  })

  it('mlx_lm.server, by what it is made of', async () => {
    const port = await engine(
      {
        '/v1/models': list({ id: 'mlx-community/Llama-3.2-3B-Instruct-4bit' }),
        '/health': { body: { status: 'ok' } },
      },
      { server: 'BaseHTTP/0.6 Python/3.12.4' },
    )
    expect(await find(port)).toMatchObject([
      { id: 'mlx', models: ['mlx-community/Llama-3.2-3B-Instruct-4bit'] },
    ])
  })
})

describe('what is no engine is not taken for one', () => {
  it.each<[string, Record<string, Reply>, Record<string, string>]>([
    ['a web page on port 8080', { '/': { body: '<html>' }, '/v1/models': { body: '<html>' } }, {}],
    ['another OpenAI-compatible server', { '/v1/models': list({ id: 'x', owned_by: 'someone' }) }, {}],
    [
      'a Python web server',
      { '/v1/models': { body: { models: [] } } },
      { server: 'BaseHTTP/0.6 Python/3.12.4' },
    ],
    ['a server that guards everything', { '/v1/models': { status: 401, body: {} } }, {}],
    ['JSON of any other shape', { '/v1/models': { body: [1, null] }, '/api/tags': { body: 7 } }, {}],
  ])('%s', async (_name, paths, headers) => {
    expect(await find(await engine(paths, headers))).toEqual([])
  })

  it('a port where nothing listens', async () => {
    const port = await engine({})
    for (const server of servers.splice(0)) server.close()
    expect(await find(port)).toEqual([])
  })

  it('a service that accepts and never answers is given up', async () => {
    const port = await listen(createTcpServer((socket) => void socket.on('error', () => undefined)))
    expect(await findEngines({ ...nothingInstalled(), ports: [port], patienceMs: 200 })).toEqual([])
  })

  it('a service that answers without end is given up', async () => {
    const port = await listen(
      createServer((_request, response) => {
        response.on('error', () => undefined)
        const more = () => response.destroyed || response.write('x'.repeat(65_536), more)
        more()
      }),
    )
    expect(await find(port)).toEqual([])
  })

  it('a redirect is not followed', async () => {
    const elsewhere = await engine({ '/v1/models': list({ id: 'x', owned_by: 'vllm' }) })
    const port = await engine(
      {},
      { location: `http://127.0.0.1:${elsewhere}/v1/models` },
      { status: 302, body: '' },
    )
    expect(await find(port)).toEqual([])
  })
})

describe('an engine that is installed but not running', () => {
  const file = (path: string, mode = 0o644) => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, '')
    chmodSync(path, mode)
  }

  it('is found by its program, with the models in its folder', async () => {
    const { env, userFolder } = nothingInstalled()
    file(join(userFolder, 'bin/ollama'), 0o755)
    const manifests = join(userFolder, '.ollama/models/manifests')
    file(join(manifests, 'registry.ollama.ai/library/llama3.2/3b'))
    file(join(manifests, 'registry.ollama.ai/someone/tuned/latest'))
    file(join(manifests, 'hf.co/bartowski/Qwen3-8B-GGUF/Q4_K_M'))
    file(join(manifests, '.DS_Store'))
    const found = await findEngines({ env: { ...env, PATH: join(userFolder, 'bin') }, userFolder, ports: [] })
    expect(found).toMatchObject([
      { id: 'ollama', available: false, url: null, path: join(userFolder, 'bin/ollama') },
    ])
    expect(found[0]?.whyNot).toBe('It is installed but not running.')
    expect(found[0]?.hint).toContain('ollama serve')
    expect(found[0]?.models.sort()).toEqual([
      'hf.co/bartowski/Qwen3-8B-GGUF:Q4_K_M',
      'llama3.2:3b',
      'someone/tuned:latest',
    ])
  })

  it('is found in its own places too', async () => {
    const { env, userFolder } = nothingInstalled()
    file(join(userFolder, '.lmstudio/bin/lms'), 0o755)
    file(join(userFolder, '.lmstudio/models/lmstudio-community/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf'))
    expect(await findEngines({ env, userFolder, ports: [] })).toMatchObject([
      { id: 'lmstudio', models: ['lmstudio-community/Qwen3-8B-GGUF'] },
    ])
  })

  it('is not found by a file that cannot be run', async () => {
    const { userFolder } = nothingInstalled()
    file(join(userFolder, 'bin/vllm'))
    expect(await findEngines({ env: { PATH: join(userFolder, 'bin') }, userFolder, ports: [] })).toEqual([])
  })

  it('is not listed a second time when it runs', async () => {
    const { userFolder } = nothingInstalled()
    file(join(userFolder, 'bin/vllm'), 0o755)
    const port = await engine({ '/v1/models': list({ id: 'x', owned_by: 'vllm' }) })
    const found = await findEngines({ env: { PATH: join(userFolder, 'bin') }, userFolder, ports: [port] })
    expect(found.map((each) => [each.id, each.available])).toEqual([['vllm', true]])
  })
})

describe('usualPorts', () => {
  it('are those of the engines, and where Ollama was moved to on this machine', () => {
    expect(usualPorts({}).sort((a, b) => a - b)).toEqual([1234, 8000, 8080, 11_434, 52_415])
    for (const moved of [
      '127.0.0.1:11500',
      'http://localhost:11500/',
      ':11500',
      '0.0.0.0:11500',
      '[::1]:11500',
    ]) {
      expect(usualPorts({ OLLAMA_HOST: moved })).toContain(11_500)
    }
  })

  it('are not those of an Ollama on another machine', () => {
    expect(usualPorts({ OLLAMA_HOST: '192.168.1.9:11500' })).not.toContain(11_500)
    expect(usualPorts({ OLLAMA_HOST: '127.0.0.1:99999' })).not.toContain(99_999)
  })
})
