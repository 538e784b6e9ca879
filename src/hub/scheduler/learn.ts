/** What an answer teaches about the model and the machine that gave it. Pure. */
import type { AnswerRecord } from '../gateway/answer-record.ts'
import type { Gauge } from './gauge.ts'

/** How busy the machine was when the request went there; what is measured under load is compared with a prediction under it. */
export interface Conditions {
  /** Other answers of the model, at most as many as it gives at once. */
  beside: number
  /** Answers of other models on the machine, plus one. */
  shared: number
}

/** Too few tokens tell more of the clock than of the machine. */
const leastDecoded = 8
const leastRead = 64

export function conditionsOf(gauge: Gauge): Conditions {
  const inFlight = gauge.get('inFlight')
  return {
    beside: Math.min(inFlight, gauge.get('slots') - 1),
    shared: 1 + Math.min(4, Math.max(0, gauge.node.inFlight - inFlight)),
  }
}

/** @param bytes of the request's body @param expectedCached tokens */
export function learnFrom(
  gauge: Gauge,
  record: AnswerRecord,
  conditions: Conditions,
  request: { bytes: number; expectedCached: number; generates: boolean },
  nowS: number,
): void {
  const { estimate, usual } = gauge
  if (record.error !== null || record.status !== 200 || estimate === null) return
  const { promptTokens, cachedTokens, completionTokens } = record
  if (record.exactTokens)
    usual.learn({ bytes: request.bytes, promptTokens, completionTokens, generates: request.generates })
  const { beside, shared } = conditions
  if (record.decodeTokS !== null && completionTokens >= leastDecoded) {
    const depth = promptTokens + completionTokens / 2
    const predicted =
      (estimate.decode0 + estimate.decode1 * depth) * (1 + estimate.crowding * beside) * shared
    gauge.decode.observe(1 / record.decodeTokS / predicted, nowS)
  }
  const read = promptTokens - cachedTokens
  const readS = secondsOfPrefill(record, read)
  if (readS !== null && read >= leastRead) {
    const predicted = read * (estimate.prefill0 + estimate.prefill1 * (cachedTokens + read / 2)) * shared
    gauge.prefill.observe(readS / predicted, nowS)
  }
  learnCache(gauge, record, request.expectedCached)
}

/** The engine's own figure, else what the client saw. */
function secondsOfPrefill({ prefillTokS, ttftMs, queueMs }: AnswerRecord, read: number): number | null {
  if (prefillTokS !== null) return read / prefillTokS
  return ttftMs === null || ttftMs <= queueMs ? null : (ttftMs - queueMs) / 1000
}

/** Never to nothing: an engine that dropped one conversation may keep the next. */
const leastHit = 0.1

function learnCache(gauge: Gauge, { cachedTokens, prefillTokS }: AnswerRecord, expected: number): void {
  // An engine that tells no counts is not taken for one without a cache.
  if (expected < 20 || (cachedTokens === 0 && prefillTokS === null)) return
  const hit = Math.min(1, (cachedTokens / expected) * gauge.cacheHit)
  gauge.cacheHit = Math.max(leastHit, gauge.cacheHit * 0.7 + hit * 0.3)
}

/** @param seconds from asking the node to holding the engine */
export function learnLoad(gauge: Gauge, seconds: number): void {
  const { sizeBytes } = gauge.placement.model
  gauge.measuredLoadS = gauge.measuredLoadS === null ? seconds : (gauge.measuredLoadS + seconds) / 2
  // A small file tells how long the engine takes to start, and nothing of the drive.
  if (sizeBytes < 2e8) return
  const speed = sizeBytes / Math.max(0.1, seconds)
  const { loadBytesPerS } = gauge.node
  gauge.node.loadBytesPerS = loadBytesPerS === null ? speed : (loadBytesPerS + speed) / 2
}
