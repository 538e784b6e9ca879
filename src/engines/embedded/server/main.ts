import type { AddressInfo } from 'node:net'
import { asHolonError } from '../../../core/errors.ts'
import type { LoadProgress } from '../../../protocol/model.ts'
import { createEngineServer, type Route } from './http.ts'
import { loadModel, type ServerConfig } from './load.ts'
import { chatRoute } from './routes-chat.ts'
import { completionRoute } from './routes-completions.ts'
import { embeddingRoute } from './routes-embeddings.ts'
import { infoRoutes } from './routes-info.ts'

/**
 * The embedded engine's process: loads one model and serves it over HTTP on loopback. Whoever starts it talks to it
 * over IPC: the configuration comes in as the first message, progress and readiness go out. When the channel closes
 * the parent is gone, and so is this process: never an orphan with gigabytes in its arms.
 */
export type ServerMessage =
  | { type: 'progress'; progress: LoadProgress }
  | { type: 'log'; line: string }
  | { type: 'ready'; port: number; contextTokens: number; parallel: number; threads: number }
  | { type: 'failed'; code: string; message: string; hint: string | null }

function tell(message: ServerMessage): void {
  if (process.connected) process.send?.(message)
}

/** Native threads may be in the middle of a batch: a normal exit would free memory under them. */
function endNow(): void {
  process.kill(process.pid, 'SIGKILL')
}

async function serve(config: ServerConfig): Promise<void> {
  // The decoder queues a sampling behind its decode: with a second worker thread it would read unfinished logits.
  if (process.env.UV_THREADPOOL_SIZE !== '1') throw new Error('The engine needs UV_THREADPOOL_SIZE=1.')
  const loaded = await loadModel(config, {
    progress: (progress) => tell({ type: 'progress', progress }),
    log: (line) => tell({ type: 'log', line }),
  })
  const routes = new Map<string, Route>([
    ['POST /v1/chat/completions', chatRoute(loaded)],
    ['POST /v1/completions', completionRoute(loaded)],
    ['POST /v1/embeddings', embeddingRoute(loaded)],
    ...infoRoutes(loaded),
  ])
  const server = createEngineServer(routes, config.secret)
  server.listen(0, '127.0.0.1', () => {
    tell({
      type: 'ready',
      port: (server.address() as AddressInfo).port,
      contextTokens: loaded.contextTokens,
      parallel: loaded.parallel,
      threads: loaded.threads.decode,
    })
  })
}

process.on('disconnect', endNow)
process.on('SIGTERM', endNow)
// A terminal's Ctrl-C reaches the whole group; the parent decides when this process ends.
process.on('SIGINT', () => undefined)
process.once('message', (config) => {
  serve(config as ServerConfig).catch((thrown: unknown) => {
    const error = asHolonError(thrown)
    tell({ type: 'failed', code: error.code, message: error.message, hint: error.hint ?? null })
    process.disconnect()
  })
})
