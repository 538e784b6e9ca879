/**
 * Watches the fleet: the hub's event stream where there is one, polling where there is not, and patience with a
 * note while the hub is away. A plain store; its clock and its fetch are given to it.
 */
import type { FleetEvent, StatusResponse } from '../../../src/protocol/fleet.ts'
import type { NodeModel, RunningModel } from '../../../src/protocol/model.ts'
import type { NodeState } from '../../../src/protocol/node.ts'
import { ApiError, askJson, isAbort, isRecord, paths, unreachable } from './api.ts'
import { readSse } from './sse.ts'

/** A node as far as the hub tells: polling knows neither the machine nor its budget. */
export type NodeView = Pick<NodeState, 'id' | 'name' | 'state' | 'profile' | 'models' | 'running'> & {
  memory: NodeState['memory'] | null
}

export interface FleetState {
  /** `connecting` only before the first answer; `away` while the hub does not answer. */
  link: 'connecting' | 'live' | 'polling' | 'away'
  nodes: NodeView[]
  status: StatusResponse | null
  /** Decode speed of the last answer by model id, tokens per second. */
  lastTokS: Readonly<Record<string, number>>
}

export interface FleetEffects {
  fetch: typeof fetch
  /** Resolves after so many seconds; rejects with an AbortError when aborted. */
  wait(seconds: number, signal: AbortSignal): Promise<void>
}

const pollEveryS = 3
/** Polls between two attempts to get the event stream after all. */
const pollsPerAttempt = 20
const maxBackoffS = 10

export class FleetWatch {
  #effects: FleetEffects
  #state: FleetState = { link: 'connecting', nodes: [], status: null, lastTokS: {} }
  #listeners = new Set<(state: FleetState) => void>()
  #hurry: (() => void) | null = null

  constructor(effects: FleetEffects) {
    this.#effects = effects
  }

  get state(): FleetState {
    return this.#state
  }

  subscribe(listener: (state: FleetState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.#state)
    return () => this.#listeners.delete(listener)
  }

  /** Tries again at once when the hub is away: the network came back. */
  hurry(): void {
    this.#hurry?.()
  }

  /** Watches until aborted; may be run again after that. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const before = this.#state.link
      const outcome = await this.#once(signal)
      if (signal.aborted) return
      if (outcome === 'no-stream') {
        failures = 0
        continue
      }
      // A stream that had been open begins the patience anew.
      failures = outcome === 'ended' || before === 'live' ? 1 : failures + 1
      this.#set({ link: 'away' })
      await this.#pause(Math.min(maxBackoffS, 2 ** (failures - 1)), signal)
    }
  }

  /** One event stream from beginning to end; a hub without one is polled for a while instead. */
  async #once(signal: AbortSignal): Promise<'ended' | 'unreachable' | 'no-stream'> {
    try {
      await this.#stream(signal)
      return 'ended'
    } catch (thrown) {
      if (isAbort(thrown)) return 'ended'
      if (!(thrown instanceof ApiError) || thrown.code === 'unreachable' || thrown.status >= 500) {
        return this.#state.link === 'live' ? 'ended' : 'unreachable'
      }
    }
    try {
      await this.#poll(signal)
      return 'no-stream'
    } catch {
      return 'unreachable'
    }
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const { fetch } = this.#effects
    const response = await fetch(paths.events, { signal, headers: { accept: 'text/event-stream' } }).catch(
      (thrown: unknown) => {
        throw isAbort(thrown) ? thrown : unreachable()
      },
    )
    const isStream = (response.headers.get('content-type') ?? '').includes('text/event-stream')
    if (!response.ok || !isStream || !response.body) {
      await response.body?.cancel()
      throw new ApiError('The hub offers no events.', { status: response.status })
    }
    await this.#askStatus(signal)
    // The first event may be long in coming when nothing changes: ask for the picture as well.
    await this.#askNodes(signal)
    this.#set({ link: 'live' })
    await readSse(response.body, { onEvent: (event) => this.#event(event.data, signal) })
  }

  #event(data: string, signal: AbortSignal): void {
    const event = readFleetEvent(data)
    if (event?.type === 'nodes') {
      const modelsBefore = modelIds(this.#state.nodes)
      this.#set({ link: 'live', nodes: event.nodes })
      // The advice depends on which models are there.
      if (modelIds(event.nodes) !== modelsBefore) void this.#askStatus(signal)
    } else if (event?.type === 'answer' && event.decodeTokS !== null) {
      this.#set({ lastTokS: { ...this.#state.lastTokS, [event.model]: event.decodeTokS } })
    }
  }

  async #askStatus(signal: AbortSignal): Promise<void> {
    const status = await this.#ask(paths.status, signal)
    if (isRecord(status)) this.#set({ status: status as unknown as StatusResponse })
  }

  async #askNodes(signal: AbortSignal): Promise<void> {
    const body = await this.#ask(paths.nodes, signal)
    if (isRecord(body) && Array.isArray(body.nodes)) this.#set({ nodes: body.nodes.filter(isNode) })
  }

  /** Null when the hub does not know the path: what it adds is then simply not shown. */
  async #ask(path: string, signal: AbortSignal): Promise<unknown> {
    return askJson(path, { signal, fetch: this.#effects.fetch }).catch(() => null)
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const options = { signal, fetch: this.#effects.fetch }
    for (let polls = 0; polls < pollsPerAttempt; polls++) {
      const [models, ps] = await Promise.all([askJson(paths.models, options), askJson(paths.ps, options)])
      if (polls === 0) await this.#askStatus(signal)
      this.#set({ link: 'polling', nodes: [nodeFromPolls(models, ps)] })
      await this.#effects.wait(pollEveryS, signal)
    }
  }

  async #pause(seconds: number, signal: AbortSignal): Promise<void> {
    const early = new AbortController()
    this.#hurry = () => early.abort()
    await this.#effects.wait(seconds, AbortSignal.any([signal, early.signal])).catch(() => {})
    this.#hurry = null
  }

  #set(changes: Partial<FleetState>): void {
    this.#state = { ...this.#state, ...changes }
    for (const listener of this.#listeners) listener(this.#state)
  }
}

const modelIds = (nodes: NodeView[]): string =>
  nodes
    .flatMap((node) => node.models.map((model) => model.id))
    .sort()
    .join('\n')

function isNode(value: unknown): value is NodeState {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    Array.isArray(value.models) &&
    Array.isArray(value.running)
  )
}

/** Null for what this page does not know: newer hubs may say more. */
function readFleetEvent(data: string): FleetEvent | null {
  let event: unknown
  try {
    event = JSON.parse(data)
  } catch {
    return null
  }
  if (!isRecord(event)) return null
  if (event.type === 'nodes' && Array.isArray(event.nodes)) {
    return { type: 'nodes', nodes: event.nodes.filter(isNode) }
  }
  if (event.type === 'answer' && typeof event.model === 'string' && typeof event.decodeTokS === 'number') {
    return event as unknown as FleetEvent
  }
  return null
}

function nodeFromPolls(models: unknown, ps: unknown): NodeView {
  return {
    id: 'hub',
    name: 'This hub',
    state: 'ready',
    profile: null,
    models: isRecord(models) && Array.isArray(models.models) ? (models.models as NodeModel[]) : [],
    running: isRecord(ps) && Array.isArray(ps.models) ? (ps.models as RunningModel[]) : [],
    memory: null,
  }
}
