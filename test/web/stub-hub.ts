/**
 * A small real hub for the page's tests: serves web/dist as the hub does and speaks its API over HTTP, with delays
 * and faults that the test chooses. Nothing of the page is replaced; only what answers it is in the test's hand.
 */
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { FleetEvent, NodeModel, NodeState } from '../../src/protocol/index.ts'

/** What one answer does, in order. `refuse` only comes first; `break` cuts the connection without a word. */
export type Step =
  | { text: string }
  | { thinking: string }
  | { comment: string }
  | { error: string; code: string }
  | { refuse: number; body: unknown; retryAfterS?: number }
  | { finish: string }
  | 'break'

export interface ChatBody {
  model: string
  messages: { role: string; content: string }[]
  temperature?: number
  max_tokens?: number
  stream_options?: { include_usage?: boolean }
}

export type Script = (body: ChatBody) => AsyncIterable<Step>

export interface SeenRequest {
  body: ChatBody
  tokens: number
  /** Resolves when the client hung up before the answer was complete. */
  aborted: Promise<void>
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Streams a text word by word. */
export function words(text: string, delayMs = 0): () => AsyncIterable<Step> {
  return async function* () {
    for (const word of text.match(/\s*\S+/g) ?? []) {
      if (delayMs > 0) await delay(delayMs)
      yield { text: word }
    }
  }
}

/** Something that a script waits for and the test lets go. */
export function gate(): { passed: Promise<void>; open(): void } {
  let open!: () => void
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

export class StubHub {
  script: Script = words('Hello from the stub.')
  advice: string | null = null
  /** False answers 404 on the event stream, as a hub without one. */
  offersEvents = true
  loadStepMs = 60
  readonly requests: SeenRequest[] = []
  readonly loads: string[] = []
  url = ''
  #dist: string
  #node: NodeState
  #server = createServer((request, response) => this.#route(request, response))
  #sockets = new Set<Socket>()
  #watchers = new Set<ServerResponse>()

  constructor(dist: string, node: NodeState) {
    this.#dist = dist
    this.#node = node
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** Listens; the second time on the port of the first, as a hub that comes back. */
  async start(): Promise<void> {
    const port = this.url === '' ? 0 : Number(new URL(this.url).port)
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Event streams that are open now. */
  get watchers(): number {
    return this.#watchers.size
  }

  get node(): NodeState {
    return this.#node
  }

  change(changes: Partial<NodeState>): void {
    this.#node = { ...this.#node, ...changes }
    this.emit({ type: 'nodes', nodes: [this.#node] })
  }

  changeModel(id: string, changes: Partial<NodeModel>): void {
    this.change({
      models: this.#node.models.map((model) => (model.id === id ? { ...model, ...changes } : model)),
    })
  }

  emit(event: FleetEvent): void {
    for (const watcher of this.#watchers) {
      watcher.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    }
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', 'http://hub')
    const route = `${request.method} ${pathname}`
    if (route === 'POST /v1/chat/completions') void this.#chat(request, response)
    else if (route === 'POST /fleet/v1/models/load') void this.#load(request, response)
    else if (route === 'POST /fleet/v1/models/unload') void this.#unload(request, response)
    else if (route === 'GET /fleet/v1/events') this.#events(response)
    else if (route === 'GET /fleet/v1/nodes') json(response, 200, { nodes: [this.#node] })
    else if (route === 'GET /fleet/v1/models') json(response, 200, { models: this.#node.models })
    else if (route === 'GET /fleet/v1/ps') json(response, 200, { models: this.#node.running })
    else if (route === 'GET /fleet/v1/status') json(response, 200, this.#status())
    else if (request.method === 'GET') this.#file(pathname, response)
    else json(response, 404, failure('There is nothing here.', 'not_found'))
  }

  #status(): unknown {
    return { version: '0.1.0', pid: process.pid, startedAt: 0, url: this.url, advice: this.advice }
  }

  #file(pathname: string, response: ServerResponse): void {
    const path = join(this.#dist, normalize(pathname === '/' ? '/index.html' : pathname))
    if (!path.startsWith(this.#dist) || !existsSync(path) || !statSync(path).isFile()) {
      json(response, 404, failure('There is nothing here.', 'not_found'))
      return
    }
    response.writeHead(200, {
      'content-type': types[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
    })
    createReadStream(path).pipe(response)
  }

  #events(response: ServerResponse): void {
    if (!this.offersEvents) {
      json(response, 404, failure('This hub offers no events.', 'not_found'))
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(': hello\n\n')
    this.#watchers.add(response)
    response.once('close', () => this.#watchers.delete(response))
    this.emit({ type: 'nodes', nodes: [this.#node] })
  }

  async #load(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { model } = (await readJson(request)) as { model: string }
    this.loads.push(model)
    json(response, 202, {})
    for (const percent of [0, 35, 70]) {
      this.changeModel(model, {
        state: 'loading',
        failure: null,
        progress: { phase: 'reading weights', percent, etaS: (100 - percent) / 35 },
      })
      await delay(this.loadStepMs)
    }
    const size = this.#node.models.find((entry) => entry.id === model)?.sizeBytes ?? 0
    if (this.#node.memory.usedBytes + size > this.#node.memory.budgetBytes) {
      this.changeModel(model, {
        state: 'failed',
        progress: null,
        failure: `${model} needs more memory than is free.`,
      })
      return
    }
    this.changeModel(model, { state: 'ready', progress: null })
    this.change({
      running: [...this.#node.running, runningModel(model, size)],
      memory: { ...this.#node.memory, usedBytes: this.#node.memory.usedBytes + size },
    })
  }

  async #unload(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { model } = (await readJson(request)) as { model: string }
    const running = this.#node.running.find((entry) => entry.id === model)
    if (running && running.active > 0) {
      json(response, 409, failure(`${model} is answering; it is unloaded when it is done.`, 'overloaded'))
      return
    }
    json(response, 200, {})
    this.changeModel(model, { state: 'disk' })
    this.change({
      running: this.#node.running.filter((entry) => entry.id !== model),
      memory: {
        ...this.#node.memory,
        usedBytes: this.#node.memory.usedBytes - (running?.memoryBytes ?? 0),
      },
    })
  }

  async #chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await readJson(request)) as ChatBody
    const hungUp = gate()
    const seen: SeenRequest = { body, tokens: 0, aborted: hungUp.passed }
    this.requests.push(seen)
    let complete = false
    response.once('close', () => {
      if (!complete) hungUp.open()
    })
    let finish = 'stop'
    for await (const step of this.script(body)) {
      if (response.destroyed) return
      if (step === 'break') {
        complete = true
        response.destroy()
        return
      }
      if ('refuse' in step) {
        complete = true
        const headers: Record<string, string> = {}
        if (step.retryAfterS !== undefined) headers['retry-after'] = String(step.retryAfterS)
        json(response, step.refuse, step.body, headers)
        return
      }
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' })
      if ('error' in step) {
        complete = true
        response.end(event(failure(step.error, step.code)))
        return
      }
      if ('finish' in step) finish = step.finish
      else if ('comment' in step) response.write(`: ${step.comment}\n\n`)
      else {
        seen.tokens += 1
        const delta = 'text' in step ? { content: step.text } : { reasoning_content: step.thinking }
        response.write(event({ choices: [{ index: 0, delta, finish_reason: null }] }))
      }
    }
    if (response.destroyed) return
    complete = true
    response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: finish }] }))
    if (body.stream_options?.include_usage) {
      response.write(event({ choices: [], usage: { prompt_tokens: 9, completion_tokens: seen.tokens } }))
    }
    response.end('data: [DONE]\n\n')
  }
}

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

export const failure = (message: string, code: string) => ({
  error: { message, type: 'server_error', param: null, code, source: 'hub' },
})

function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return JSON.parse(Buffer.concat(pieces).toString('utf8'))
}

function runningModel(id: string, memoryBytes: number): NodeState['running'][number] {
  return {
    id,
    engine: 'llama-server',
    pid: 4242,
    state: 'ready',
    progress: null,
    contextTokens: 8192,
    parallel: 4,
    threads: 8,
    memoryBytes,
    active: 0,
    decodeTokS: null,
    prefillTokS: null,
    loadedAt: 0,
    idleS: 3,
  }
}
