/** Decode speeds of the latest answers, per pool: pooled, and on one member alone. */
import { median } from '../../core/median.ts'
import type { AnswerStats } from '../../protocol/lease.ts'

/** Shorter answers tell more of the first token than of the speed. */
const leastTokens = 16
const leastAnswers = 3
const kept = 16

export class SpeedBook {
  private readonly speeds = new Map<string, number[]>()

  note(key: string, stats: AnswerStats | undefined): void {
    if (!stats?.decodeTokS || stats.completionTokens < leastTokens) return
    const list = this.speeds.get(key) ?? []
    list.push(stats.decodeTokS)
    this.speeds.set(key, list.slice(-kept))
  }

  /** Median; null before there are enough answers. */
  of(key: string): number | null {
    const list = this.speeds.get(key) ?? []
    return list.length < leastAnswers ? null : median(list)
  }

  forget(prefix: string): void {
    for (const key of this.speeds.keys()) if (key.startsWith(prefix)) this.speeds.delete(key)
  }
}
