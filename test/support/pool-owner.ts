/** The owner's command line for pools on a `TestHub`, and what the hub wrote into its history. */
import type { PoolPreview, PoolView, PreviewPlacement } from '../../src/protocol/pools.ts'
import { eventually, runCli } from './cli.ts'
import type { TestHub } from './fleet.ts'

export interface Told<T> {
  code: number | null
  told: T
}

interface HistoryEvent {
  type: string
  data: Record<string, unknown>
}

export class PoolOwner {
  private readonly hub: TestHub

  constructor(hub: TestHub) {
    this.hub = hub
  }

  /** A command and its JSON document. @throws what it said when it printed none */
  async ask<T>(...args: string[]): Promise<Told<T>> {
    const { code, stdout, stderr } = await runCli([...args, '--json'], this.hub.env)
    if (stdout.trim() === '') throw new Error(stderr)
    return { code, told: JSON.parse(stdout) as T }
  }

  /** What a person reads. */
  async read(...args: string[]): Promise<{ code: number | null; text: string }> {
    const { code, stdout, stderr } = await runCli(args, this.hub.env)
    return { code, text: stdout + stderr }
  }

  async preview(...args: string[]): Promise<PoolPreview> {
    return (await this.ask<PoolPreview>('pool', 'preview', ...args)).told
  }

  async show(name: string): Promise<PoolView> {
    return (await this.ask<PoolView>('pool', 'show', name)).told
  }

  async list(): Promise<PoolView[]> {
    return (await this.ask<{ pools: PoolView[] }>('pool', 'list')).told.pools
  }

  /** What happened to pools since the hub started, oldest first. */
  async history(): Promise<HistoryEvent[]> {
    const { events } = (await (await fetch(`${this.hub.url}/fleet/v1/history`)).json()) as {
      events: HistoryEvent[]
    }
    return events.filter(({ type }) => type.startsWith('pool.')).reverse()
  }

  /** The next such event after the first `seen` of its kind. */
  async untilHappened(type: string, seen: number, ms = 60_000): Promise<HistoryEvent['data']> {
    let data: HistoryEvent['data'] | undefined
    await eventually(
      `${type} in the history`,
      async () => {
        data = (await this.history()).filter((event) => event.type === type)[seen]?.data
        return data !== undefined
      },
      ms,
    )
    return data ?? {}
  }

  async countOf(type: string): Promise<number> {
    return (await this.history()).filter((event) => event.type === type).length
  }

  served(name: string, service: PoolView['service'], ms = 90_000): Promise<void> {
    return eventually(
      `${name} to be served by ${service}`,
      async () => (await this.show(name)).service === service,
      ms,
    )
  }
}

/** The placement with this engine; of a cluster, the one that this node stands for. */
export function placementOf(preview: PoolPreview, engine: string, head?: string): PreviewPlacement {
  const found = preview.placements.find((one) => one.engine === engine && (head ?? one.head) === one.head)
  if (!found)
    throw new Error(`no placement with ${engine} in ${preview.placements.map(({ id }) => id).join(', ')}`)
  return found
}
