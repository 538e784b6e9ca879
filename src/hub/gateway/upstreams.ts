/** Connections to engines: one pool per origin, kept while the engine lives and dropped when it dies. */
import type { Dispatcher } from 'undici'
import { EnginePool } from '../../engines/http/engine-pool.ts'
import type { EngineLease } from '../../protocol/node.ts'
import { watchDeath } from './death-watch.ts'

const maxPools = 64

export class Upstreams {
  private readonly pools = new Map<string, EnginePool>()

  /** The way to the engine of a lease: through its node's tunnel, or a pool of connections on this machine. */
  poolFor(lease: EngineLease): Pick<Dispatcher, 'dispatch'> {
    const { dispatcher, origin } = lease
    if (!dispatcher) return this.localPool(lease)
    // The relay watches the time itself, here as there.
    const always = { origin, headersTimeout: 0, bodyTimeout: 0 }
    return { dispatch: (options, handler) => dispatcher.dispatch({ ...options, ...always }, handler) }
  }

  private localPool(lease: EngineLease): EnginePool {
    let pool = this.pools.get(lease.origin)
    if (!pool) {
      this.dropUnused()
      pool = new EnginePool(lease.origin)
      this.pools.set(lease.origin, pool)
      const opened = pool
      watchDeath(lease).enter({ onDeath: () => this.drop(lease.origin, opened) })
    }
    return pool
  }

  async close(): Promise<void> {
    const pools = [...this.pools.values()]
    this.pools.clear()
    await Promise.all(pools.map((pool) => pool.destroy().catch(() => undefined)))
  }

  /** An engine that was unloaded in peace tells nobody: pools nobody uses go when there are many. */
  private dropUnused(): void {
    if (this.pools.size < maxPools) return
    for (const [origin, pool] of this.pools) {
      if (pool.running === 0) this.drop(origin, pool)
    }
  }

  /** A successor may listen on the same port: only the dead engine's own pool goes. */
  private drop(origin: string, pool: EnginePool): void {
    if (this.pools.get(origin) === pool) this.pools.delete(origin)
    // Requests still in it fail now rather than at their timeout.
    pool.destroy().catch(() => undefined)
  }
}
