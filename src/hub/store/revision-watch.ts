/**
 * Learns of the changes of other hubs on the same books. Asked for twice a second: reading three rows is cheap, needs no
 * connection of its own, passes every pooler (LISTEN does not), and nothing is missed while the connection was down.
 */
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { type Subject, subjects } from './revisions.ts'
import type { Store } from './store.ts'

const askEveryMs = 500
const afterFailureMs = 2_000

/** Told of the changes of others, and of this hub's own. */
export class RevisionWatch {
  private readonly store: Store
  private readonly clock: Clock
  private readonly log: Log
  private readonly seen = new Map<Subject, number>()
  private readonly tell: (subject: Subject) => Promise<void>
  private stopTimer: (() => void) | null = null
  private failed = false
  private closed = false

  /** @param tell may reject, and is then told again */
  constructor(options: { store: Store; clock: Clock; log: Log; tell: (subject: Subject) => Promise<void> }) {
    this.store = options.store
    this.clock = options.clock
    this.log = options.log
    this.tell = options.tell
  }

  /** Does nothing on an embedded database, which nobody else changes. */
  start(): void {
    if (this.store.shared) this.schedule(askEveryMs)
  }

  close(): void {
    this.closed = true
    this.stopTimer?.()
  }

  private schedule(ms: number): void {
    if (this.closed) return
    this.stopTimer = this.clock.after(ms, () => {
      this.ask().then(
        () => {
          if (this.failed) this.log.info({}, 'the changes of other hubs are seen again')
          this.failed = false
          this.schedule(askEveryMs)
        },
        (error: unknown) => {
          if (!this.failed && !this.closed)
            this.log.warn({ error }, 'the changes of other hubs cannot be seen')
          this.failed = true
          this.schedule(afterFailureMs)
        },
      )
    })
  }

  private async ask(): Promise<void> {
    const rows = await this.store.use((db) =>
      db.selectFrom('revisions').select(['subject', 'revision']).execute(),
    )
    for (const subject of subjects) {
      const revision = rows.find((row) => row.subject === subject)?.revision ?? 0
      if (this.seen.get(subject) === revision) continue
      // The first look tells too: something may have changed since this hub read it.
      await this.tell(subject)
      this.seen.set(subject, revision)
    }
  }
}
