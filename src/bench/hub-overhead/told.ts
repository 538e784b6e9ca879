/** How the bench's child programs talk to it: where they listen, and what they have used so far. */
export interface ChildUse {
  /** CPU of all threads so far, microseconds. */
  cpuUs: number
  /** The same after the collection that measuring the heap needs, so that no round pays for it. */
  cpuCollectedUs: number
  rssBytes: number
  /** After a garbage collection. */
  heapBytes: number
}
export type FromChild = { origin: string } | { use: ChildUse }

/** Says where the server listens and answers `use` and `stop` from then on. */
export function reportToBench(origin: string, stop: () => void): void {
  const say = (message: FromChild) => process.send?.(message)
  process.on('message', (asked) => {
    if (asked === 'use') say({ use: measureSelf() })
    if (asked === 'stop') stop()
  })
  process.on('disconnect', stop)
  say({ origin })
}

function measureSelf(): ChildUse {
  const cpuUs = cpuSoFar()
  globalThis.gc?.()
  const memory = process.memoryUsage()
  return { cpuUs, cpuCollectedUs: cpuSoFar(), rssBytes: memory.rss, heapBytes: memory.heapUsed }
}

function cpuSoFar(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
