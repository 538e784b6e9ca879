/** A hub over three machines of 32 GB that can pool, one of which has a model that fits none of them; all in this process. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { createHub, type Hub } from '../../src/hub/hub.ts'
import type { PoolEngine } from '../../src/pool/pool-engine.ts'
import { type PoolView, poolsResponse } from '../../src/protocol/pools.ts'
import { FakeMachine, FakeSite, fakePoolEngine, type MachineOptions } from '../fakes/fake-pool-members.ts'
import { eventually } from '../support/cli.ts'
import { headerOf } from '../support/model-headers.ts'
import { FakeEngine } from './fake-engine.ts'
import { aModel, FakeNode } from './fake-node.ts'

export const GB = 1e9
const header = headerOf('llama-3.1-70b', 'Q4_K_M')

/** The times of the real policy, made short. */
const policy = {
  backoffMs: 20,
  backoffMaxMs: 200,
  settleMs: 100,
  growAfterMs: 100,
  stopMs: 1_000,
  drainMs: 2_000,
  stableMs: 50,
}

export type Refusal = { error: { code: string; message: string } }

export class PoolStand {
  readonly site = new FakeSite()
  readonly engine = new FakeEngine()
  a!: FakeMachine
  b!: FakeMachine
  c!: FakeMachine
  url = ''
  private home = ''
  private hub!: Hub
  private other!: FakeNode

  async start(): Promise<void> {
    await this.engine.start()
    this.home = await mkdtemp(join(tmpdir(), 'holon-pools-'))
    this.a = this.machine('a', { hasModel: true })
    this.b = this.machine('b')
    this.c = this.machine('c')
    this.other = new FakeNode(this.engine.origin, [aModel('small')], 'other', 'other')
    await this.startHub()
  }

  /** The hub stops in order, and another one takes over its books. */
  async restartHub(engine: PoolEngine = fakePoolEngine): Promise<void> {
    await this.hub.close(200)
    await this.startHub(engine)
  }

  closeHub(): Promise<void> {
    return this.hub.close(200)
  }

  async stop(): Promise<void> {
    for (const one of this.site.members) one.faults.hangStop = false
    await this.hub.close(200)
    await this.engine.stop()
    await rm(this.home, { recursive: true, force: true })
  }

  async call<T>(path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(this.url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as T }
  }

  create(more: object = {}): Promise<{ status: number; body: PoolView & Refusal }> {
    return this.call('/fleet/v1/pools', { name: 'p', model: 'big', nodes: ['a-mac', 'b-mac'], ...more })
  }

  async pools(): Promise<PoolView[]> {
    return poolsResponse.parse((await this.call('/fleet/v1/pools')).body).pools
  }

  async pool(): Promise<PoolView> {
    const found = (await this.pools()).find(({ name }) => name === 'p')
    if (!found) throw new Error('there is no pool p')
    return found
  }

  served(service: PoolView['service']): Promise<void> {
    return eventually(`service ${service}`, async () => (await this.pool()).service === service)
  }

  ask(text: string, more: object = {}): Promise<Response> {
    return fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'big', messages: [{ role: 'user', content: text }], ...more }),
    })
  }

  private machine(id: string, options: Partial<MachineOptions> = {}): FakeMachine {
    const sizeBytes = header.weights.total
    const big = aModel('big', { state: 'disk', sizeBytes, paramsTotal: 70e9, name: 'Llama 3.1 70B' })
    const models = options.hasModel ? [big] : []
    return new FakeMachine(this.site, this.engine.origin, id, models, {
      memoryBytes: 32 * GB,
      header,
      ...options,
    })
  }

  private async startHub(engine: PoolEngine = fakePoolEngine): Promise<void> {
    this.hub = createHub({
      config: { host: '127.0.0.1', port: 0, version: '0.0.0-test', home: this.home },
      nodes: [this.a, this.b, this.c, this.other],
      clock: systemClock,
      log: silentLog,
      pools: { engines: [engine], policy },
    })
    this.url = (await this.hub.listen()).url
  }
}
