import { fileURLToPath } from 'node:url'
import { HolonError } from '../../src/core/errors.ts'
import type { EngineDriver, LaunchSpec } from '../../src/engines/engine.ts'
import { engineProcess } from '../../src/engines/shared/engine-process.ts'
import { spawnChild } from '../../src/engines/shared/spawn.ts'

/** The program itself, for tests that start it their own way. Its faults are documented at its top. */
export const fakeEngineProgram = fileURLToPath(new URL('./fake-engine.mjs', import.meta.url))

export interface FakeDriver extends EngineDriver {
  /** Every launch so far, in order. */
  readonly launches: LaunchSpec[]
  /** Added to the program's arguments at the next launch, e.g. `['--fault', 'crash']`. */
  args: string[]
}

/** An engine driver whose engine is the fake program: a real process, real HTTP, faults to order. */
export function fakeDriver(options: { id?: string; args?: string[] } = {}): FakeDriver {
  const driver: FakeDriver = {
    id: options.id ?? 'fake',
    title: 'Fake engine',
    parameters: new Set([
      'model',
      'messages',
      'prompt',
      'input',
      'stream',
      'stream_options',
      'max_tokens',
      'temperature',
    ]),
    launches: [],
    args: options.args ?? [],
    detect: async () => ({
      id: driver.id,
      available: true,
      version: '1',
      path: fakeEngineProgram,
      url: null,
      models: [],
      whyNot: null,
      hint: null,
    }),
    install: async () => undefined,
    launch: async (spec) => {
      driver.launches.push(spec)
      spec.signal.throwIfAborted()
      const port = deferred<number>()
      const child = await spawnChild({
        command: process.execPath,
        args: [
          fakeEngineProgram,
          '--exit-with-parent',
          '--secret',
          'fake-secret',
          '--model',
          spec.modelId,
          ...driver.args,
        ],
        onLine: (line) => {
          spec.onLog(line)
          const match = /^\{"port":(\d+)\}$/.exec(line)
          if (match) port.resolve(Number(match[1]))
        },
      })
      spec.onProgress({ phase: 'reading weights', percent: 50, etaS: 1 })
      void child.exited.then((exit) =>
        port.reject(new HolonError('model_load_failed', exit.reason, { source: 'engine' })),
      )
      spec.signal.addEventListener('abort', () => port.reject(spec.signal.reason), { once: true })
      try {
        return engineProcess({
          child,
          origin: `http://127.0.0.1:${await port.promise}`,
          headers: { authorization: 'Bearer fake-secret' },
          contextTokens: spec.contextTokens ?? 2048,
          parallel: spec.parallel,
          threads: 1,
        })
      } catch (error) {
        await child.stop(0)
        throw error
      }
    },
  }
  return driver
}

function deferred<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
