import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { childEntry } from '../../core/child-entry.ts'
import { catalogue, type ErrorCode, HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { EngineProcess, LaunchSpec } from '../engine.ts'
import { engineProcess } from '../shared/engine-process.ts'
import { type Spawned, spawnChild } from '../shared/spawn.ts'
import type { ServerConfig } from './server/load.ts'
import type { ServerMessage } from './server/main.ts'

/** Starts the engine's process for one model and waits until it has answered its first token. */
export async function launchEmbedded(native: string, home: Home, spec: LaunchSpec): Promise<EngineProcess> {
  spec.signal.throwIfAborted()
  const child = await spawnChild({
    command: process.execPath,
    args: [...heapFlags, childEntry(import.meta.url, './server/main.ts')],
    // One worker thread: what is queued on the native side runs in order, without asking JavaScript in between.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    ipc: true,
    onLine: spec.onLog,
  })
  const secret = randomBytes(32).toString('base64url')
  const config: ServerConfig = {
    native,
    modelId: spec.modelId,
    modelPath: spec.modelPath,
    contextTokens: spec.contextTokens,
    parallel: spec.parallel,
    threads: spec.threads,
    embedding: spec.embedding,
    secret,
    threadCache: join(home.cache, 'embedded-threads.json'),
  }
  child.process.send(config)
  try {
    const ready = await untilReady(child, spec)
    return engineProcess({
      child,
      origin: `http://127.0.0.1:${ready.port}`,
      headers: { authorization: `Bearer ${secret}` },
      contextTokens: ready.contextTokens,
      parallel: ready.parallel,
      threads: ready.threads,
    })
  } catch (error) {
    await child.stop(0)
    throw error
  }
}

/** The engine's memory is native; its JavaScript needs little, and must not grow without bound. */
const heapFlags = ['--max-old-space-size=1024']

type Ready = Extract<ServerMessage, { type: 'ready' }>

async function untilReady(child: Spawned, spec: LaunchSpec): Promise<Ready> {
  let cancel: () => void = () => undefined
  try {
    return await new Promise<Ready>((resolve, reject) => {
      cancel = () => reject(spec.signal.reason)
      spec.signal.addEventListener('abort', cancel, { once: true })
      child.process.on('message', (message: ServerMessage) => {
        if (message.type === 'progress') spec.onProgress(message.progress)
        else if (message.type === 'log') spec.onLog(message.line)
        else if (message.type === 'ready') resolve(message)
        else reject(asLaunchError(message))
      })
      void child.exited.then((exit) => reject(diedLoading(exit.reason, spec.modelPath)))
    })
  } finally {
    spec.signal.removeEventListener('abort', cancel)
  }
}

function diedLoading(reason: string, modelPath: string): HolonError {
  return new HolonError('model_load_failed', `${reason} It was loading ${modelPath}.`, {
    source: 'engine',
    hint: 'Run `holon doctor`; the log says more.',
  })
}

function asLaunchError(failed: Extract<ServerMessage, { type: 'failed' }>): HolonError {
  const code: ErrorCode = failed.code in catalogue ? (failed.code as ErrorCode) : 'model_load_failed'
  return new HolonError(code, failed.message, { source: 'engine', hint: failed.hint ?? undefined })
}
