import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RandomGguf, writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { embeddedDriver } from '../../src/engines/embedded/index.ts'
import type { EngineDriver, EngineProcess, LaunchSpec } from '../../src/engines/engine.ts'
import { testHome } from '../support/engine-home.ts'

/** A real engine on a model written for the test, and the ways to talk to it. */
export interface TestEngine {
  engine: EngineProcess
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>
  /** A JSON answer; fails the test when the status is not 200. */
  ask<T = ChatAnswer>(path: string, body: unknown): Promise<T>
  /** The error envelope of a refused request. */
  refused(path: string, body: unknown): Promise<{ status: number; error: EngineError }>
  /** All `data:` events of a stream but `[DONE]`, whose absence fails the test. */
  stream(path: string, body: unknown): Promise<ChatChunk[]>
  close(): Promise<void>
}

export interface EngineError {
  message: string
  type: string
  param: string | null
  code: string | null
  source: string
}
export interface Timings {
  cache_n: number
  prompt_n: number
  predicted_n: number
  predicted_per_second: number
}
export interface ToolCall {
  index?: number
  id: string
  type: string
  function: { name: string; arguments: string }
}
export interface ChatAnswer {
  object: string
  model: string
  choices: {
    index: number
    text?: string
    message: { role: string; content: string | null; tool_calls?: ToolCall[] }
    finish_reason: string
    logprobs: {
      content: {
        token: string
        logprob: number
        bytes: number[]
        top_logprobs: { token: string; logprob: number }[]
      }[]
    } | null
  }[]
  usage: {
    prompt_tokens: number
    completion_tokens: number
    total_tokens: number
    prompt_tokens_details: { cached_tokens: number }
  }
  timings: Timings
}
export interface ChatChunk {
  object: string
  choices: {
    index: number
    text?: string
    delta: { role?: string; content?: string; tool_calls?: ToolCall[] }
    finish_reason: string | null
  }[]
  usage?: ChatAnswer['usage'] | null
  timings?: Timings
}

export const launchDefaults: Omit<LaunchSpec, 'modelPath'> = {
  modelId: 'tiny',
  contextTokens: null,
  parallel: 4,
  threads: 1,
  embedding: false,
  onProgress: () => undefined,
  onLog: () => undefined,
  signal: new AbortController().signal,
}

/** Starts `driver` (the embedded engine when not given) on a tiny model of the wished shape. */
export async function startTiny(
  shape: RandomGguf = {},
  spec: Partial<LaunchSpec> = {},
  makeDriver: (home: ReturnType<typeof testHome>) => EngineDriver = embeddedDriver,
): Promise<TestEngine> {
  const home = testHome()
  const folder = mkdtempSync(join(tmpdir(), 'holon-model-'))
  const modelPath = join(folder, 'tiny.gguf')
  writeRandomGguf(modelPath, shape)
  const engine = await makeDriver(home).launch({ ...launchDefaults, modelPath, ...spec })
  return {
    ...clientOf(engine),
    engine,
    close: async () => {
      await engine.stop(500)
      home.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Ways to talk to any running engine. */
export function clientOf(engine: EngineProcess): Omit<TestEngine, 'engine' | 'close'> {
  const post = (path: string, body: unknown, signal?: AbortSignal): Promise<Response> =>
    fetch(engine.origin + path, {
      method: 'POST',
      headers: { ...engine.headers, 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal,
    })
  return {
    post,
    ask: async <T>(path: string, body: unknown): Promise<T> => {
      const response = await post(path, body)
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text}`)
      return JSON.parse(text) as T
    },
    refused: async (path, body) => {
      const response = await post(path, body)
      const text = await response.text()
      if (response.status === 200) throw new Error(`${path} was not refused: ${text.slice(0, 200)}`)
      return { status: response.status, error: (JSON.parse(text) as { error: EngineError }).error }
    },
    stream: async (path, body) => {
      const response = await post(path, { ...(body as object), stream: true })
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text}`)
      const events = text.split('\n\n').filter((event) => event.startsWith('data: '))
      if (events.pop() !== 'data: [DONE]')
        throw new Error(`the stream did not end with [DONE]: ${text.slice(-200)}`)
      return events.map((event) => JSON.parse(event.slice(6)) as ChatChunk)
    },
  }
}
