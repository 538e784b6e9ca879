import {
  createModelStore,
  type ModelStore,
  modelFoldersFromEnv,
  shippedDemoPath,
} from '../agent/models/model-store.ts'
import { huggingFaceFromEnv } from '../agent/models/pull-model.ts'
import { systemClock } from '../core/clock.ts'
import type { Config } from './config.ts'
import { createFileLog } from './file-log.ts'

/** The models of this HOLON_HOME, for the commands and for `holon up` alike. */
export function openModelStore(config: Config, env: Record<string, string | undefined>): ModelStore {
  return createModelStore({
    home: config.home,
    huggingFace: { ...huggingFaceFromEnv(env), token: config.hfToken ?? undefined },
    clock: systemClock,
    log: createFileLog(config.home),
    folders: modelFoldersFromEnv(env),
    demoPath: shippedDemoPath,
  })
}
