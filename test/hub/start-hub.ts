/** A hub on a free port with a fake engine behind it and a home of its own; everything ends with `stop`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { createHub, type Hub, type HubConfig } from '../../src/hub/index.ts'
import type { NodeHandle } from '../../src/protocol/node.ts'
import { FakeEngine } from './fake-engine.ts'
import { FakeNode } from './fake-node.ts'

export interface Stand {
  hub: Hub
  url: string
  home: string
  engine: FakeEngine
  node: FakeNode
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>
  stop(): Promise<void>
}

export async function startStand(
  config: Partial<HubConfig> = {},
  moreNodes: NodeHandle[] = [],
  clock: Clock = systemClock,
): Promise<Stand> {
  const engine = new FakeEngine()
  await engine.start()
  const node = new FakeNode(engine.origin)
  const home = await mkdtemp(join(tmpdir(), 'holon-hub-'))
  const hub = createHub({
    config: { host: '127.0.0.1', port: 0, version: '0.0.0-test', home, ...config },
    nodes: [node, ...moreNodes],
    clock,
    log: silentLog,
    advice: () => 'Pull a real model.',
  })
  const { url } = await hub.listen()
  return {
    hub,
    url,
    home,
    engine,
    node,
    post: (path, body, init) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body:
          typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
        ...init,
      }),
    stop: async () => {
      await hub.close(200)
      await engine.stop()
      await rm(home, { recursive: true, force: true })
    },
  }
}

export function chat(text: string, more: object = {}): object {
  return { model: 'tiny', messages: [{ role: 'user', content: text }], ...more }
}

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null; source: string }
  loading?: { phase: string; percent: number | null; etaS: number | null }
}

export async function errorOf(response: Response): Promise<ErrorBody> {
  return (await response.json()) as ErrorBody
}
