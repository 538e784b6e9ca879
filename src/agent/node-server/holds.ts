/**
 * Engines that the hub holds. A hold is one stream: it opens with the model's name, tells the progress of a load, then
 * the engine, and lasts until the hub says `release`, the engine dies, or the stream ends in any other way. A hub that
 * vanishes therefore releases everything it held, and nothing is left pinned in memory.
 */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import { jsonLine, readJsonLines } from '../../core/lines.ts'
import type { AnswerStats, EngineLease, NodeHandle } from '../../protocol/node.ts'
import { holdRelease, holdRequest, maxLineBytes, toWireError } from '../../protocol/node-wire.ts'
import { checked } from './checked.ts'

export class Holds {
  private readonly node: NodeHandle
  private readonly leases = new Map<string, EngineLease>()

  constructor(node: NodeHandle) {
    this.node = node
  }

  /** The engine of a hold that is open. @throws HolonError not_found */
  leaseOf(hold: string | undefined): EngineLease {
    const lease = hold === undefined ? undefined : this.leases.get(hold)
    if (!lease) throw new HolonError('not_found', 'The request names no engine that is held.')
    return lease
  }

  async serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const lines = readJsonLines(request, maxLineBytes)
    const gone = new AbortController()
    response.on('close', () => gone.abort(new Error('the hub let go')))
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const say = (value: unknown): void => {
      if (!response.stream.destroyed && !response.stream.writableEnded) response.write(jsonLine(value))
    }
    const hold = newId('hold')
    let lease: EngineLease | null = null
    let stats: AnswerStats | undefined
    try {
      const { model } = checked(holdRequest, (await lines.next()).value)
      lease = await this.node.acquire(model, {
        signal: gone.signal,
        onProgress: (progress) => {
          if (!response.stream.writableNeedDrain) say({ progress })
        },
      })
      this.leases.set(hold, lease)
      say({ engine: describe(hold, lease) })
      void lease.died.then((died) => say({ died }))
      const last = await lines.next()
      if (!last.done) stats = checked(holdRelease, last.value).release ?? undefined
    } catch (thrown) {
      if (!gone.signal.aborted) say({ error: toWireError(asHolonError(thrown)) })
    } finally {
      this.leases.delete(hold)
      lease?.release(stats)
      if (!response.stream.destroyed) response.end()
    }
  }
}

function describe(hold: string, { model, engine, parameters, parallel }: EngineLease) {
  return { hold, model, engine, parameters: [...parameters], parallel }
}
