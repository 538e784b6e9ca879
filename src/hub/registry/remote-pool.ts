/** What a node behind a tunnel does for pools. What it says of itself is checked against the bounds of the protocol. */
import type { Dispatcher } from 'undici'
import type { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import { fromWireError } from '../../protocol/node-wire.ts'
import {
  type LinkProbe,
  linkProbe,
  type MemberFacts,
  memberFacts,
  type OpenPart,
  type PartSpec,
  type PoolEngineId,
  type PoolMember,
} from '../../protocol/pool.ts'
import { awaitProbeAnswer, maxPoolLineBytes, poolPaths } from '../../protocol/pool-wire.ts'
import type { TunnelSession } from '../../tunnel/session.ts'
import { openRemotePart } from './remote-part.ts'
import { RemoteWeights } from './remote-weights.ts'

/** Looking for engines and reading a model's header from a slow disk. */
const inspectWithinMs = 60_000
const awaitWithinMs = 15_000
const probeWithinMs = 45_000

export class RemotePool implements PoolMember {
  readonly weights: RemoteWeights
  private readonly live: () => TunnelSession
  private readonly name: string

  /** @param live the tunnel as it is now; throws tunnel_lost when there is none */
  constructor(live: () => TunnelSession, name: string) {
    this.live = live
    this.name = name
    this.weights = new RemoteWeights(live, name)
  }

  inspect(question: { engine: PoolEngineId; model: string }): Promise<MemberFacts> {
    return this.ask(poolPaths.inspect, question, memberFacts, AbortSignal.timeout(inspectWithinMs))
  }

  open(spec: PartSpec, signal: AbortSignal): Promise<OpenPart> {
    return openRemotePart(this.live(), this.name, spec, signal)
  }

  awaitProbe(at: { host: string; secret: string }, signal: AbortSignal): Promise<{ port: number }> {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(awaitWithinMs)])
    return this.ask(poolPaths.awaitProbe, at, awaitProbeAnswer, inTime)
  }

  probe(to: { host: string; port: number; secret: string }, signal: AbortSignal): Promise<LinkProbe> {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(probeWithinMs)])
    return this.ask(poolPaths.probe, to, linkProbe, inTime)
  }

  private async ask<T>(path: string, body: object, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    const answer = await this.live().request({
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      headersTimeout: 0,
      signal,
    })
    const told = await readBounded(answer)
    if (answer.statusCode === 200) {
      const checked = schema.safeParse(told)
      if (checked.success) return checked.data
      throw new HolonError('tunnel_misbehaved', `Node ${this.name} answered about pools with nonsense.`)
    }
    const error = (told as { error?: { code?: unknown } } | null)?.error
    if (answer.statusCode === 404 && error?.code === 'not_found') {
      throw new HolonError('pool_impossible', `Node ${this.name} cannot take part in pools.`, {
        hint: 'Bring Holon there to the same version as here.',
      })
    }
    throw fromWireError(error)
  }
}

async function readBounded({ body }: Dispatcher.ResponseData): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk as Uint8Array)
    bytes += (chunk as Uint8Array).length
    if (bytes > maxPoolLineBytes) throw new HolonError('tunnel_misbehaved', 'The node answered at length.')
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return null
  }
}
