/**
 * A model's files for the other members of a pool: HTTP with ranges, inside TLS by a secret of this distribution, on the
 * members' own link. It knows a list of names and nothing else of the disk, and it may serve while it still receives: an
 * unfinished file has another name.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { listenSecure } from '../../pool/wire/listen.ts'
import { readSecret } from '../../pool/wire/secret.ts'
import type { WeightFile } from '../../protocol/pool-weights.ts'

/** Who takes files says so; it is no secret. */
export const weightsIdentity = 'holon/weights'
const handshakeMs = 5_000
/** A peer that takes nothing for so long is gone. */
const idleMs = 60_000

export interface ServedFiles {
  folder: string
  files: readonly WeightFile[]
  host: string
  secret: string
}

/** Ends with the signal. @throws HolonError pool_wire_failed when the address cannot be listened on */
export async function serveFiles(
  { folder, files, host, secret }: ServedFiles,
  signal: AbortSignal,
): Promise<{ port: number }> {
  signal.throwIfAborted()
  const known = new Map(files.map((file) => [`/${file.name}`, file]))
  const server = createServer({ keepAliveTimeout: 5_000 }, (request, response) => {
    const file = known.get(decoded(request.url ?? ''))
    if (file === undefined || request.method !== 'GET') response.writeHead(404).end()
    else void answer(join(folder, file.name), file, request, response)
  })
  server.setTimeout(idleMs)
  const psk = readSecret(secret)
  const drops = new Set<() => void>()
  const listener = await listenSecure({
    host,
    handshakeMs,
    secretOf: (identity) => (identity === weightsIdentity ? psk : null),
    onPeer: (socket, _, drop) => {
      drops.add(drop)
      socket.once('close', () => drops.delete(drop))
      // The listener has shown that the peer knows the secret; from here on it is plain HTTP.
      server.emit('connection', socket)
    },
  })
  const end = (): void => {
    listener.close()
    for (const drop of drops) drop()
  }
  signal.addEventListener('abort', end, { once: true })
  // Given up while the port was being opened: nobody else would close it.
  if (signal.aborted) end()
  signal.throwIfAborted()
  return { port: listener.port }
}

function decoded(url: string): string {
  try {
    return decodeURIComponent(url)
  } catch {
    return ''
  }
}

async function answer(
  path: string,
  file: WeightFile,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const size = await stat(path).then(
    (info) => info.size,
    () => null,
  )
  if (size !== file.bytes) response.writeHead(404).end()
  else send(path, file, request, response)
}

function send(path: string, file: WeightFile, request: IncomingMessage, response: ServerResponse): void {
  const { bytes, sha256 } = file
  const etag = `"${sha256}"`
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
  const current = request.headers['if-range'] === undefined || request.headers['if-range'] === etag
  const start = asked !== undefined && current ? Number(asked) : 0
  if (start > 0 && start >= bytes) {
    response.writeHead(416, { 'content-range': `bytes */${bytes}` }).end()
    return
  }
  const headers = { etag, 'content-length': bytes - start, 'accept-ranges': 'bytes' }
  if (start > 0)
    response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${bytes - 1}/${bytes}` })
  else response.writeHead(200, headers)
  // A file that became shorter meanwhile breaks the answer off, which the other end sees.
  pipeline(createReadStream(path, { start, highWaterMark: 1024 * 1024 }), response, () => undefined)
}
