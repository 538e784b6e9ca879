/**
 * Who sends which file to whom next. Whoever has a file serves the next one who needs it, so that the first holder's line
 * is not what everybody waits for. Decisions only; the transfers are somebody else's.
 */
import { HolonError } from '../../core/errors.ts'
import type { WeightFile } from '../../protocol/pool-weights.ts'

export interface Holder {
  name: string
  /** Files that it needs and does not have. */
  missing: readonly WeightFile[]
  /** Names of files that it has whole. */
  has: readonly string[]
}

export interface Transfer {
  file: WeightFile
  from: string
  to: string
}

/** A disk and a line each give most when few things at once want them. */
const mostAtOnce = 2
/** A source that failed this often with one file is not asked for it again. */
const mostFailures = 3

export class FanOut {
  private readonly has = new Map<string, Set<string>>()
  private readonly missing = new Map<string, Map<string, WeightFile>>()
  private readonly running = new Set<Transfer>()
  private readonly failures = new Map<string, { count: number; error: HolonError }>()

  constructor(holders: readonly Holder[]) {
    for (const { name, has, missing } of holders) {
      this.has.set(name, new Set(has))
      this.missing.set(name, new Map(missing.map((file) => [file.name, file])))
    }
  }

  get finished(): boolean {
    return this.running.size === 0 && [...this.missing.values()].every((files) => files.size === 0)
  }

  /**
   * Transfers to begin now; each must be ended by `done` or `failed`.
   * @throws HolonError download_failed when something is missing that nobody can give
   */
  next(): Transfer[] {
    const begun: Transfer[] = []
    for (let found = this.best(); found !== null; found = this.best()) {
      this.running.add(found)
      begun.push(found)
    }
    if (this.running.size === 0 && !this.finished) throw this.stuck()
    return begun
  }

  done(transfer: Transfer): void {
    this.running.delete(transfer)
    this.missing.get(transfer.to)?.delete(transfer.file.name)
    this.has.get(transfer.to)?.add(transfer.file.name)
  }

  /** Another source is tried, or the same again, a few times. */
  failed(transfer: Transfer, error: HolonError): void {
    this.running.delete(transfer)
    const key = failureKey(transfer)
    this.failures.set(key, { count: (this.failures.get(key)?.count ?? 0) + 1, error })
  }

  /** The file that fewest have goes first: then soon many can give it. Of its sources the one that failed and sends least. */
  private best(): Transfer | null {
    let best: { transfer: Transfer; rank: number[] } | null = null
    for (const [to, files] of this.missing) {
      if (this.count((each) => each.to === to) >= mostAtOnce) continue
      for (const file of files.values()) {
        if (this.isComing(to, file)) continue
        for (const [from, has] of this.has) {
          if (from === to || !has.has(file.name)) continue
          const sending = this.count((each) => each.from === from)
          const failed = this.failures.get(failureKey({ file, from, to }))?.count ?? 0
          if (sending >= mostAtOnce || failed >= mostFailures) continue
          const rank = [this.copiesOf(file), failed, sending, -file.bytes]
          if (best === null || isLess(rank, best.rank)) best = { transfer: { file, from, to }, rank }
        }
      }
    }
    return best?.transfer ?? null
  }

  private isComing(to: string, file: WeightFile): boolean {
    for (const each of this.running) if (each.to === to && each.file.name === file.name) return true
    return false
  }

  private copiesOf({ name }: WeightFile): number {
    let copies = this.count((each) => each.file.name === name)
    for (const has of this.has.values()) if (has.has(name)) copies += 1
    return copies
  }

  private count(which: (transfer: Transfer) => boolean): number {
    let count = 0
    for (const each of this.running) if (which(each)) count += 1
    return count
  }

  private stuck(): HolonError {
    for (const [to, files] of this.missing) {
      for (const file of files.values()) {
        const last = [...this.failures]
          .filter(([key]) => key.endsWith(` ${to} ${file.name}`))
          .at(-1)?.[1].error
        if (last) return last
        return new HolonError(
          'download_failed',
          `Nobody who can be reached has ${file.name}, which ${to} needs.`,
        )
      }
    }
    return new HolonError('internal', 'Files are missing and none is named.')
  }
}

function failureKey({ file, from, to }: Transfer): string {
  return `${from} ${to} ${file.name}`
}

function isLess(one: readonly number[], other: readonly number[]): boolean {
  for (const [at, value] of one.entries()) {
    const against = other[at] ?? 0
    if (value !== against) return value < against
  }
  return false
}
