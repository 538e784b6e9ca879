import type { Home } from '../core/home.ts'
import type { Log } from '../core/log.ts'
import type { AttachOptions } from './attached/attach-options.ts'
import type { AttachedEngine } from './attached-engine.ts'
import { embeddedDriver } from './embedded/index.ts'
import type { EngineDriver } from './engine.ts'
import { attachExo } from './exo/index.ts'
import { attachLlamaRouter } from './llama-router/index.ts'
import { llamaServerDriver } from './llama-server/index.ts'
import { attachLmStudio } from './lm-studio/index.ts'
import { attachMlx } from './mlx-server/index.ts'
import { attachOllama } from './ollama/index.ts'
import { attachOpenAi } from './openai/index.ts'
import { attachVllm } from './vllm/index.ts'

export { engineUrl } from './attached/engine-url.ts'

/** The engines Holon can run itself, best first. */
export function createDrivers(options: { home: Home; log: Log }): EngineDriver[] {
  return [llamaServerDriver(options.home), embeddedDriver(options.home)]
}

interface Attachable {
  attach(options: AttachOptions): AttachedEngine
  /** Where it listens unless told otherwise; null when there is no usual place. */
  usualUrl: string | null
  alsoKnownAs: readonly string[]
}

/** Engines that are attached to where they already run, by id. */
const attachable: Readonly<Record<string, Attachable>> = {
  openai: { attach: attachOpenAi, usualUrl: null, alsoKnownAs: [] },
  'lm-studio': { attach: attachLmStudio, usualUrl: 'http://127.0.0.1:1234', alsoKnownAs: ['lmstudio'] },
  ollama: { attach: attachOllama, usualUrl: 'http://127.0.0.1:11434', alsoKnownAs: [] },
  mlx: { attach: attachMlx, usualUrl: 'http://127.0.0.1:8080', alsoKnownAs: ['mlx-server', 'mlx_lm.server'] },
  'llama-router': {
    attach: attachLlamaRouter,
    usualUrl: 'http://127.0.0.1:8080',
    alsoKnownAs: ['llama-server-router', 'router'],
  },
  vllm: { attach: attachVllm, usualUrl: 'http://127.0.0.1:8000', alsoKnownAs: [] },
  exo: { attach: attachExo, usualUrl: 'http://127.0.0.1:52415', alsoKnownAs: [] },
}

export const attachableIds: readonly string[] = Object.keys(attachable)

/** One of the engines that can be attached, by any of its names; null for others. */
export function findAttachable(name: string): (Attachable & { id: string }) | null {
  const lower = name.toLowerCase()
  for (const [id, engine] of Object.entries(attachable)) {
    if (id === lower || engine.alsoKnownAs.includes(lower)) return { id, ...engine }
  }
  return null
}
