/** A pool's parts on this machine and a controller of the simplest kind: when one part dies, all are ended. */
import { randomBytes } from 'node:crypto'
import { homeAt } from '../../src/core/home.ts'
import { silentLog } from '../../src/core/log.ts'
import type { MemberHost, PoolEngine } from '../../src/pool/pool-engine.ts'
import type { OpenPart, PartSpec, RunningPart } from '../../src/protocol/pool.ts'

export function memberHost(root: string, more: Partial<MemberHost> = {}): MemberHost {
  return {
    home: homeAt(root),
    log: silentLog,
    findModel: () => null,
    memory: () => ({ budgetBytes: 8e9, usedBytes: 0 }),
    ...more,
  }
}

export interface PoolGroup {
  parts: OpenPart[]
  running: RunningPart[]
  /** Resolves with the first death, when all parts have been stopped. */
  over: Promise<string>
  chat(body: Record<string, unknown>, signal?: AbortSignal): Promise<Response>
  stop(): Promise<void>
}

/** Specs of all parts of one launch: a secret for each pair, every member listening on its own host. */
export function groupSpecs(
  engine: PoolEngine,
  order: {
    model: string
    settings: readonly Record<string, unknown>[]
    hosts: readonly (string | null)[]
    mode?: 'encrypted' | 'isolated'
  },
): PartSpec[] {
  const launch = randomBytes(6).toString('hex')
  const size = order.settings.length
  const secrets = new Map<string, string>()
  const secretOf = (a: number, b: number): string => {
    const key = `${Math.min(a, b)} ${Math.max(a, b)}`
    const secret = secrets.get(key) ?? randomBytes(32).toString('base64url')
    secrets.set(key, secret)
    return secret
  }
  return order.settings.map((settings, rank) => ({
    pool: 'test',
    launch,
    engine: engine.id,
    rank,
    size,
    model: order.model,
    settings,
    wire: {
      host: order.hosts[rank] ?? null,
      mode: order.mode ?? 'encrypted',
      peers: order.settings.flatMap((_, peer) =>
        peer === rank ? [] : [{ rank: peer, secret: secretOf(rank, peer) }],
      ),
    },
  }))
}

/** Opens and starts all parts. When one cannot start, all are stopped and its error is thrown. */
export async function startGroup(
  engine: PoolEngine,
  specs: readonly PartSpec[],
  hostOf: (rank: number) => MemberHost,
): Promise<PoolGroup> {
  const { signal } = new AbortController()
  const parts: OpenPart[] = []
  const stop = async (): Promise<void> => void (await Promise.all(parts.map((part) => part.stop())))
  try {
    for (const spec of specs) parts.push(await engine.open(spec, hostOf(spec.rank), signal))
    const peers = parts.flatMap((part, rank) => (part.listening ? [{ rank, ...part.listening }] : []))
    const running = await Promise.all(
      parts.map((part, rank) =>
        part.start(
          peers.filter((peer) => peer.rank !== rank),
          { signal },
        ),
      ),
    )
    const over = Promise.race(parts.map((part) => part.died)).then(async (reason) => {
      await stop()
      return reason
    })
    return { parts, running, over, stop, chat: (body, leave) => chat(running[0] as RunningPart, body, leave) }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

async function chat(
  head: RunningPart,
  body: Record<string, unknown>,
  signal?: AbortSignal,
): Promise<Response> {
  const lease = head.lease?.()
  if (!lease) throw new Error('rank 0 gives no lease')
  try {
    return await fetch(`${lease.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...lease.headers },
      body: JSON.stringify({ model: lease.model, ...body }),
      signal: signal ?? null,
    })
  } finally {
    lease.release()
  }
}
