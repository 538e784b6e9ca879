/** A hub and an agent with an engine attached that runs as its own program; everything ends with `close`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Agent } from '../../src/agent/agent.ts'
import { createAttachedAgent } from '../../src/agent/attached.ts'
import { createModelStore } from '../../src/agent/models/model-store.ts'
import { systemClock } from '../../src/core/clock.ts'
import { homeAt } from '../../src/core/home.ts'
import { silentLog } from '../../src/core/log.ts'
import type { AttachedEngine } from '../../src/engines/attached-engine.ts'
import { findAttachable } from '../../src/engines/index.ts'
import { createHub } from '../../src/hub/index.ts'
import type { NodeModel } from '../../src/protocol/model.ts'
import { eventually } from '../support/cli.ts'

export interface Program {
  url: string
  child: ChildProcess
  stop(): Promise<void>
}

/** Starts a fake of test/fakes; it prints its port. */
export function startFake(file: string, ...args: string[]): Promise<Program> {
  const path = fileURLToPath(new URL(`../fakes/${file}`, import.meta.url))
  return startProgram(process.execPath, [path, ...args], /"port":(\d+)/)
}

/** Starts a server and waits until it has said its port. */
export function startProgram(command: string, args: string[], port: RegExp): Promise<Program> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
  }
  return new Promise((resolve, reject) => {
    let said = ''
    const look = (chunk: Buffer): void => {
      said += chunk.toString()
      const found = port.exec(said)
      if (found) resolve({ url: `http://127.0.0.1:${found[1]}`, child, stop })
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    void gone.then(() => reject(new Error(`${command} ended: ${said}`)))
  })
}

export interface AttachedStand {
  agent: Agent
  engine: AttachedEngine
  url: string
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>
  chat(model: string, content: string, more?: object): Promise<Response>
  model(id: string): NodeModel | undefined
  until(what: string, condition: () => boolean): Promise<void>
  close(): Promise<void>
}

export interface StandOptions {
  models?: string[]
  key?: string
  parallel?: number
  explicit?: boolean
  budget?: number
}

export async function attach(id: string, url: string, options: StandOptions = {}): Promise<AttachedStand> {
  const root = mkdtempSync(join(tmpdir(), 'holon-attached-'))
  const home = homeAt(root)
  const models = options.models ?? []
  const engine = findAttachable(id)!.attach({
    url,
    headers: options.key === undefined ? {} : { authorization: `Bearer ${options.key}` },
    models,
    parallel: options.parallel ?? null,
  })
  const agent = await createAttachedAgent(
    {
      home,
      drivers: [],
      models: createModelStore({ home, log: silentLog, demoPath: null }),
      memoryBudgetBytes: () => options.budget ?? 64e9,
      clock: systemClock,
      log: silentLog,
    },
    { find: async () => [{ engine, explicit: options.explicit ?? true, named: models }] },
  )
  const hub = createHub({
    config: { host: '127.0.0.1', port: 0, version: '0.0.0-test', home: root },
    nodes: [agent],
    clock: systemClock,
    log: silentLog,
    advice: () => null,
  })
  const { url: hubUrl } = await hub.listen()
  const post = (path: string, body: unknown, signal?: AbortSignal): Promise<Response> =>
    fetch(hubUrl + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    })
  return {
    agent,
    engine,
    url: hubUrl,
    post,
    chat: (model, content, more = {}) =>
      post('/v1/chat/completions', { model, messages: [{ role: 'user', content }], ...more }),
    model: (name) => agent.state().models.find((each) => each.id === name),
    until: (what, condition) => eventually(what, condition),
    close: async () => {
      await hub.close(200)
      await agent.close()
      rmSync(root, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** The JSON events of a stream; the last text tells whether it was whole. */
export async function eventsOf(response: Response): Promise<{ events: Chunk[]; done: boolean }> {
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data:'))
  const done = lines.at(-1)?.trim() === 'data: [DONE]'
  return {
    events: lines.slice(0, done ? -1 : undefined).map((line) => JSON.parse(line.slice(5)) as Chunk),
    done,
  }
}

export interface Chunk {
  model?: string
  object?: string
  choices?: {
    index: number
    finish_reason: string | null
    delta?: { role?: string; content?: string; reasoning_content?: string; tool_calls?: unknown[] }
  }[]
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null
  timings?: Record<string, number>
  error?: { message: string; code: string | null }
}

export function wordsOf(events: readonly Chunk[]): string {
  return events.map((event) => event.choices?.[0]?.delta?.content ?? '').join('')
}
