/**
 * Ollama's `keep_alive` on nodes that know only load and unload: after so long without use a model is unloaded, and until
 * then it is touched now and then, so that the node's own rule for idle models lets it be. Keeping is a wish, not a pin:
 * a node that needs the memory for another model takes it, and a model gone once is not brought back from here.
 */
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { RunningModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'

interface Kept {
  keepMs: number
  /** Milliseconds since the epoch. */
  usedAt: number
  touchedAt: number
  stop: () => void
}

/** Between two looks at a kept model; nodes leave idle models alone for longer than this. */
const lookEveryMs = 60_000
/** Between two tries to unload a model that is answering. */
const busyMs = 1_000

export interface KeepAliveDeps {
  nodes: readonly NodeHandle[]
  clock: Clock
  log: Log
  /** Requests of this hub at a node for a model. */
  busy(node: string, model: string): number
}

export class KeepAlive {
  private readonly deps: KeepAliveDeps
  private readonly kept = new Map<string, Kept>()

  constructor(deps: KeepAliveDeps) {
    this.deps = deps
  }

  /**
   * An answer of this model ended.
   * @param keepMs how long to keep it from now, Infinity for ever, undefined to leave what was said before
   */
  used(model: string, keepMs: number | undefined): void {
    const known = this.kept.get(model)
    const wish = keepMs ?? known?.keepMs
    if (wish === undefined) return
    known?.stop()
    const now = this.deps.clock.now()
    const kept = { keepMs: wish, usedAt: now, touchedAt: now, stop: () => undefined }
    this.kept.set(model, kept)
    this.look(model, kept)
  }

  /** Milliseconds since the epoch; null when nothing was said about it or it is kept for ever. */
  expiresAt(model: string): number | null {
    const kept = this.kept.get(model)
    return kept && Number.isFinite(kept.keepMs) ? kept.usedAt + kept.keepMs : null
  }

  /** Whether anything was said about it. */
  keeps(model: string): boolean {
    return this.kept.has(model)
  }

  close(): void {
    for (const kept of this.kept.values()) kept.stop()
    this.kept.clear()
  }

  private look(model: string, kept: Kept): void {
    const holders = this.holders(model)
    if (holders.length === 0) {
      this.kept.delete(model)
      return
    }
    const now = this.deps.clock.now()
    const answering = holders.some(
      ({ node, running }) => running.active > 0 || this.deps.busy(node.id, model) > 0,
    )
    if (answering) kept.usedAt = now
    else {
      // Used meanwhile, by a client of another dialect.
      const idleMs = Math.min(...holders.map(({ running }) => running.idleS * 1000))
      if (idleMs < now - kept.touchedAt - 500) kept.usedAt = Math.max(kept.usedAt, now - idleMs)
    }
    const leftMs = kept.usedAt + kept.keepMs - now
    if (!answering && leftMs <= 0) {
      this.kept.delete(model)
      for (const { node } of holders) this.unload(node, model)
      return
    }
    if (!answering && now - kept.touchedAt >= lookEveryMs) {
      kept.touchedAt = now
      for (const { node } of holders) this.touch(node, model)
    }
    const waitMs = Math.min(lookEveryMs, Math.max(busyMs, leftMs))
    kept.stop = this.deps.clock.after(answering && leftMs <= busyMs ? busyMs : waitMs, () =>
      this.look(model, kept),
    )
  }

  private holders(model: string): { node: NodeHandle; running: RunningModel }[] {
    return this.deps.nodes.flatMap((node) => {
      const running = node.state().running.find((each) => each.id === model && each.state === 'ready')
      return running ? [{ node, running }] : []
    })
  }

  private touch(node: NodeHandle, model: string): void {
    node.acquire(model, { signal: AbortSignal.timeout(10_000) }).then(
      (lease) => lease.release(),
      (error: unknown) => this.deps.log.warn({ model, error }, 'a model to be kept could not be held'),
    )
  }

  private unload(node: NodeHandle, model: string): void {
    node.unload(model).catch((error: unknown) => {
      this.deps.log.warn({ model, error }, 'a model whose keep_alive ended could not be unloaded')
    })
  }
}
