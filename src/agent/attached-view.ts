/** The models of attached engines as the fleet sees them, under names that are unique on the node. Pure. */
import type { NodeModel, RunningModel } from '../protocol/model.ts'
import type { AttachedHost, ModelBook } from './attached-host.ts'

export interface Offered {
  /** Unique on the node. */
  id: string
  host: AttachedHost
  book: ModelBook
}

/**
 * An engine's own names, `ollama`'s with their colon. A name that is taken, by a file of this node's or by an engine
 * before, gets the engine behind it: `qwen3:4b@ollama`.
 */
export function offeredModels(hosts: readonly AttachedHost[], taken: ReadonlySet<string>): Offered[] {
  const used = new Set([...taken].map((id) => id.toLowerCase()))
  const offered: Offered[] = []
  for (const host of hosts) {
    for (const book of host.books.values()) {
      // mlx_lm.server calls a model by its folder.
      const { name: told } = book.model
      const name = told.startsWith('/') ? (told.split('/').filter(Boolean).at(-1) ?? told) : told
      const tries = [name, `${name}@${host.engine.id}`, `${name}@${new URL(host.engine.url).host}`]
      const id = tries.find((candidate) => !used.has(candidate.toLowerCase()))
      if (id === undefined) continue
      used.add(id.toLowerCase())
      offered.push({ id, host, book })
    }
  }
  return offered
}

export function attachedModel({ id, host, book }: Offered): NodeModel {
  const { model } = book
  const { engine, trouble } = host
  const state = host.stateOf(book)
  return {
    id,
    path: '',
    source: `${engine.title} at ${engine.url}`,
    format: model.format,
    engine: engine.id,
    architecture: model.architecture,
    name: model.name,
    quant: model.quant,
    paramsTotal: model.paramsTotal,
    sizeBytes: model.sizeBytes ?? 0,
    contextMax: model.contextMax,
    embedding: model.embedding,
    demo: false,
    problem: null,
    state,
    progress: state === 'loading' ? book.progress : null,
    failure: state === 'failed' ? (trouble?.message ?? book.failure) : null,
    measuredLoadS: book.history.loadS,
    measuredPrefillTokS: book.history.prefillTokS,
    measuredDecodeTokS: book.history.decodeTokS,
  }
}

/** Only what the engine says is in memory, or what has answered. */
export function attachedRunning({ id, host, book }: Offered, now: number): RunningModel[] {
  const state = host.stateOf(book)
  if (state !== 'ready' && state !== 'loading') return []
  const { model } = book
  const ready = state === 'ready'
  return [
    {
      id,
      engine: host.engine.id,
      pid: null,
      state,
      progress: book.progress,
      contextTokens: model.contextTokens,
      parallel: model.parallel ?? host.engine.parallel,
      threads: null,
      memoryBytes: model.memoryBytes,
      active: book.active,
      decodeTokS: book.decodeTokS,
      prefillTokS: book.prefillTokS,
      loadedAt: ready ? book.readyAt : null,
      idleS: ready && book.active === 0 ? Math.max(0, (now - book.usedAt) / 1000) : 0,
    },
  ]
}
