/**
 * A conversation with a node in lines of JSON: one stream of the tunnel, open in both directions for as long as what it is
 * about is held. And the engine that such a stream holds, as requests reach it.
 */
import { PassThrough } from 'node:stream'
import { asHolonError } from '../../core/errors.ts'
import { jsonLine, readJsonLines } from '../../core/lines.ts'
import type { EngineLease } from '../../protocol/node.ts'
import { type HeldEngine, holdHeader } from '../../protocol/node-wire.ts'
import type { TunnelSession } from '../../tunnel/session.ts'

/** Requests inside the tunnel need an authority, which no end of it reads. */
const origin = 'http://node'

export interface LineStream {
  statusCode: number
  /** To the node; its end tells the node that it is over. */
  upload: PassThrough
  lines: AsyncGenerator<unknown>
}

/**
 * Opens a stream with its first line and has `use` talk over it; the stream stays open when that succeeds.
 * @throws HolonError what `use` throws, and tunnel_lost; or the signal's reason
 */
export async function openLines<T>(
  session: TunnelSession,
  {
    path,
    first,
    maxLineBytes,
    signal,
  }: { path: string; first: object; maxLineBytes: number; signal: AbortSignal },
  use: (stream: LineStream) => Promise<T>,
): Promise<T> {
  const upload = new PassThrough()
  upload.write(jsonLine(first))
  const { body, statusCode } = await session.request({
    path,
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: upload,
    headersTimeout: 15_000,
    bodyTimeout: 0,
    signal,
  })
  body.on('error', () => undefined)
  try {
    return await use({ statusCode, upload, lines: readJsonLines(body, maxLineBytes) })
  } catch (error) {
    upload.destroy()
    body.destroy()
    throw signal.aborted ? signal.reason : asHolonError(error)
  }
}

export function leaseOf(
  session: TunnelSession,
  { hold, model, engine, parameters, parallel }: HeldEngine,
  died: Promise<string>,
  release: EngineLease['release'],
): EngineLease {
  return {
    model,
    engine,
    origin,
    headers: { [holdHeader]: hold },
    dispatcher: session.dispatcher,
    parameters: new Set(parameters),
    parallel,
    died,
    release,
  }
}
