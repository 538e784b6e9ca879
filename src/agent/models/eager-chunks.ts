import type { Readable } from 'node:stream'

/** Enough to keep a fast line busy while the disk catches up. */
const maxWaitingBytes = 8 * 1024 * 1024

/**
 * The chunks of a stream, all of them: also those that had arrived when it broke. Iterating the stream itself throws
 * away what is buffered at the moment of an error, and a download would go back behind bytes it had paid for.
 * Listens from the moment of the call, not of the first iteration: an error that came between would be lost.
 */
export function eagerChunks(stream: Readable): AsyncIterable<Uint8Array> {
  const waiting: Uint8Array[] = []
  let waitingBytes = 0
  let ended = false
  let failure: unknown = null
  let wake = (): void => undefined
  stream.on('data', (chunk: Uint8Array) => {
    waiting.push(chunk)
    waitingBytes += chunk.length
    if (waitingBytes > maxWaitingBytes) stream.pause()
    wake()
  })
  stream.on('error', (cause) => {
    failure ??= cause
    ended = true
    wake()
  })
  for (const event of ['end', 'close']) {
    stream.on(event, () => {
      ended = true
      wake()
    })
  }
  async function* drain(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = waiting.shift()
        if (chunk) {
          waitingBytes -= chunk.length
          if (stream.isPaused() && waitingBytes <= maxWaitingBytes / 2) stream.resume()
          yield chunk
        } else if (ended) {
          if (failure) throw failure
          return
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      stream.destroy()
    }
  }
  return drain()
}
