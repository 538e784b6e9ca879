/** Says the same thing once a minute at most: a node that reconnects 1,000 times must not fill the disk with it. */
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'

const againMs = 60_000
const maxKeys = 1_000

export class QuietLog {
  private readonly log: Log
  private readonly clock: Clock
  private readonly said = new Map<string, { at: number; unsaid: number }>()

  constructor(log: Log, clock: Clock) {
    this.log = log
    this.clock = clock
  }

  /** Warns unless the same `key` did within the last minute; tells then how many were left out. */
  warn(key: string, fields: object, message: string): void {
    const now = this.clock.now()
    const before = this.said.get(key)
    if (before && now - before.at < againMs && now >= before.at) {
      before.unsaid += 1
      return
    }
    this.said.delete(key)
    this.said.set(key, { at: now, unsaid: 0 })
    if (this.said.size > maxKeys) this.said.delete(this.said.keys().next().value!)
    this.log.warn(before && before.unsaid > 0 ? { ...fields, unsaid: before.unsaid } : fields, message)
  }
}
