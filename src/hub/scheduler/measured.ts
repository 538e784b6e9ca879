/**
 * What was measured, as a correction of what was predicted: the ratio of measured to predicted seconds, smoothed. A
 * correction carries over to other prompt lengths, depths and loads, which a mean speed does not. Evidence ages, so that
 * a machine that was slow yesterday is tried again. Pure.
 */

/** Evidence counts half after so long. Seconds. */
const halfLifeS = 6 * 3600
/** Beyond so many measurements an old one counts for less with each new one. */
const memory = 8
/** One measurement against the prediction: two thirds to one third. */
const doubt = 0.5
/** Further off than this is an accident: a suspended machine, a clock that jumped. */
const mostOff = Math.log(50)

/** What remains of it when the hub ends. */
export interface Kept {
  meanLog: number
  weight: number
  /** Seconds since the epoch. */
  atS: number
}

export class Measured {
  private meanLog = 0
  private weight = 0
  private atS = 0

  static of({ meanLog, weight, atS }: Kept): Measured {
    const measured = new Measured()
    measured.meanLog = Math.max(-mostOff, Math.min(mostOff, meanLog))
    measured.weight = Math.min(weight, memory)
    measured.atS = atS
    return measured
  }

  /** Null when nothing was measured. */
  kept(): Kept | null {
    const { meanLog, weight, atS } = this
    return weight === 0 ? null : { meanLog, weight, atS }
  }

  /** @param ratio measured seconds over predicted seconds */
  observe(ratio: number, nowS: number): void {
    if (!(ratio > 0) || !Number.isFinite(ratio)) return
    const value = Math.max(-mostOff, Math.min(mostOff, Math.log(ratio)))
    const weight = this.evidence(nowS)
    this.meanLog += (value - this.meanLog) / (weight + 1)
    this.weight = Math.min(weight + 1, memory)
    this.atS = nowS
  }

  /** The prediction it corrects became another: what was measured stays what it was. */
  rebase(oldOverNew: number): void {
    if (this.weight > 0 && oldOverNew > 0) this.meanLog += Math.log(oldOverNew)
  }

  /** Measurements it rests on, older ones counting less. */
  evidence(nowS: number): number {
    if (this.weight === 0) return 0
    return this.weight * 2 ** (-Math.max(0, nowS - this.atS) / halfLifeS)
  }

  /** What to multiply predicted seconds by; 1 when nothing was measured. */
  ratio(nowS: number): number {
    const weight = this.evidence(nowS)
    return weight === 0 ? 1 : Math.exp((this.meanLog * weight) / (weight + doubt))
  }
}
