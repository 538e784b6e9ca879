/**
 * Parts of pools that the hub opened on this machine. A part is one stream, and lives no longer than it: a hub that
 * vanishes leaves no engine, no port and no memory behind.
 */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { asHolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import { jsonLine, readJsonLines } from '../../core/lines.ts'
import type { EngineLease } from '../../protocol/node.ts'
import { toWireError } from '../../protocol/node-wire.ts'
import type { OpenPart, PoolMember, RunningPart } from '../../protocol/pool.ts'
import { maxPoolLineBytes, type PartLine, partOpening, partPeers } from '../../protocol/pool-wire.ts'

const tellMemoryMs = 5_000

export class PoolParts {
  private readonly pool: PoolMember
  private readonly heads = new Map<string, () => EngineLease>()

  constructor(pool: PoolMember) {
    this.pool = pool
  }

  /** A lease of the head that a request names; null when it names none. */
  leaseOf(hold: string): EngineLease | null {
    return this.heads.get(hold)?.() ?? null
  }

  async serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort(new Error('the hub let go')))
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const say = (line: PartLine): void => {
      if (!response.stream.destroyed && !response.stream.writableEnded) response.write(jsonLine(line))
    }
    const hold = newId('head')
    let part: OpenPart | null = null
    let stopTelling = (): void => undefined
    try {
      const lines = readJsonLines(request, maxPoolLineBytes)
      const { spec } = partOpening.parse((await lines.next()).value)
      part = await this.pool.open(spec, gone.signal)
      say({ listening: part.listening })
      const over = part.died.then((died) => {
        say({ died: died.slice(0, 2000) })
        gone.abort(new Error(died))
      })
      const next = lines.next()
      // The hub ends a part by ending its side, at any time.
      const ended = this.untilEnd(next, lines).then(() => gone.abort(new Error('the hub ended the part')))
      const heard = await Promise.race([next, aborted(gone.signal)])
      if (heard && !heard.done) {
        const { peers } = partPeers.parse(heard.value)
        const running = await part.start(peers, {
          signal: gone.signal,
          onProgress: (progress) => {
            if (!response.stream.writableNeedDrain) say({ progress })
          },
        })
        say({ ready: this.ready(hold, running) })
        stopTelling = tellMemory(running, say)
        await Promise.race([over, ended, aborted(gone.signal)])
      }
    } catch (thrown) {
      if (!gone.signal.aborted) say({ error: toWireError(asHolonError(thrown)) })
    } finally {
      stopTelling()
      this.heads.delete(hold)
      await part?.stop()
      // Its end says that all is gone.
      if (!response.stream.destroyed) response.end()
    }
  }

  private ready(
    hold: string,
    { memoryBytes, lease }: RunningPart,
  ): Extract<PartLine, { ready: unknown }>['ready'] {
    if (lease === null) return { memoryBytes, head: null }
    this.heads.set(hold, lease)
    const sample = lease()
    sample.release()
    const { model, engine, parameters, parallel } = sample
    return { memoryBytes, head: { hold, model, engine, parameters: [...parameters], parallel } }
  }

  private async untilEnd(
    first: Promise<IteratorResult<unknown>>,
    lines: AsyncGenerator<unknown>,
  ): Promise<void> {
    try {
      for (let line = await first; !line.done; line = await lines.next());
    } catch {
      // A broken stream is an end too.
    }
  }
}

function tellMemory(running: RunningPart, say: (line: PartLine) => void): () => void {
  let last = running.memoryBytes
  const timer = setInterval(() => {
    if (running.memoryBytes === last) return
    last = running.memoryBytes
    say({ memoryBytes: last })
  }, tellMemoryMs)
  return () => clearInterval(timer)
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    else signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}
