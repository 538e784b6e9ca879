/** Holding an engine on another machine: one stream of the tunnel, open for as long as the engine is held. */
import type { PassThrough } from 'node:stream'
import { HolonError } from '../../core/errors.ts'
import { jsonLine } from '../../core/lines.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { EngineLease } from '../../protocol/node.ts'
import {
  fromWireError,
  type HeldEngine,
  holdLine,
  maxLineBytes,
  nodePaths,
} from '../../protocol/node-wire.ts'
import type { TunnelSession } from '../../tunnel/session.ts'
import { leaseOf, openLines } from './line-stream.ts'

/** @throws HolonError what the node says of a failed load, tunnel_lost, tunnel_misbehaved; or the signal's reason */
export async function holdRemote(
  session: TunnelSession,
  node: string,
  model: string,
  options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
): Promise<EngineLease> {
  const opening = { path: nodePaths.hold, first: { model }, maxLineBytes, signal: options.signal }
  return openLines(session, opening, async ({ statusCode, upload, lines }) => {
    if (statusCode !== 200) throw unexpected(`status ${statusCode}`)
    for (;;) {
      const line = await nextLine(lines)
      if ('progress' in line) options.onProgress?.(line.progress)
      else if ('error' in line) throw fromWireError(line.error)
      else if ('died' in line) throw new HolonError('engine_crashed', line.died, { source: 'engine' })
      else return held(session, node, line.engine, upload, lines)
    }
  })
}

function held(
  session: TunnelSession,
  node: string,
  engine: HeldEngine,
  upload: PassThrough,
  lines: AsyncGenerator<unknown>,
): EngineLease {
  let released = false
  const lost = `The connection to node ${node} was lost.`
  const died = new Promise<string>((resolve) => {
    void nextLine(lines)
      .then((line) => {
        if ('died' in line) return line.died
        return 'error' in line ? fromWireError(line.error).message : `Node ${node} broke the rules.`
      })
      // Its end is an end in peace when we released; then nobody listens any more.
      .catch(() => lost)
      .then((reason) => {
        if (!released) resolve(session.endedBy() ? lost : reason)
      })
  })
  return leaseOf(session, engine, died, (stats) => {
    if (released) return
    released = true
    upload.end(jsonLine({ release: stats ?? null }))
  })
}

async function nextLine(lines: AsyncGenerator<unknown>) {
  const { done, value } = await lines.next()
  if (done) throw new HolonError('tunnel_lost', 'The node let go of the engine without a word.')
  const line = holdLine.safeParse(value)
  if (line.success) return line.data
  throw unexpected('a line that is none')
}

function unexpected(what: string): HolonError {
  return new HolonError('tunnel_misbehaved', `The node answered with ${what} when asked for an engine.`)
}
