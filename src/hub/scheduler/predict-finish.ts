/**
 * When a request would be answered whole if it went to a model on a node: its turn, the load, the part of the prompt that
 * is not cached there, and the tokens of the answer. Pure, and without garbage: it runs for every candidate of every
 * request, and once more for those that are remembered for `holon explain`.
 */
import type { Gauge } from './gauge.ts'

/** What of a request decides how long it takes. */
export interface Size {
  /** Of the request's body, media left out. */
  bytes: number
  /** The caller's bound; null without one. */
  maxTokens: number | null
  /** False for embeddings: nothing is decoded. */
  generates: boolean
}

/** All in seconds or tokens. */
export interface Terms {
  waitS: number
  loadS: number
  evictS: number
  prefillS: number
  decodeS: number
  finishS: number
  firstTokenS: number
  decodeTokS: number
  promptTokens: number
  cachedTokens: number
  answerTokens: number
}

export const newTerms = (): Terms => ({
  waitS: 0, loadS: 0, evictS: 0, prefillS: 0, decodeS: 0, finishS: 0, firstTokenS: 0, decodeTokS: 0,
  promptTokens: 0, cachedTokens: 0, answerTokens: 0,
}) // biome-ignore format: a list of numbers

/** What is in memory and was not used for so long is missed half as much. Seconds. */
const coolingS = 600

/**
 * @param mark which choice this is: cached tokens noted in a gauge for another do not count
 * @param nowS seconds, any epoch as long as it is the gauge's
 */
export function predictFinish(gauge: Gauge, size: Size, mark: number, nowS: number, out: Terms): void {
  const { usual, inFlight, slots } = gauge
  const prompt = Math.max(1, size.bytes * usual.tokensPerByte)
  const cached = gauge.mark === mark ? Math.min(gauge.markTokens, prompt - 1) : 0
  const answer = size.generates ? Math.max(1, Math.min(size.maxTokens ?? 1e9, usual.answerTokens)) : 0
  // Other models on the machine have their share of it.
  const shared = 1 + Math.min(4, Math.max(0, gauge.node.inFlight - inFlight))
  const fresh = prompt - cached
  const perToken =
    (gauge.decode0 + gauge.decode1 * (prompt + answer / 2)) *
    (1 + gauge.crowding * Math.min(inFlight, slots - 1)) *
    shared
  out.promptTokens = prompt
  out.cachedTokens = cached
  out.answerTokens = answer
  out.waitS = waitFor(gauge)
  out.prefillS = fresh * (gauge.prefill0 + gauge.prefill1 * (cached + fresh / 2)) * shared
  out.decodeS = answer * perToken
  out.decodeTokS = 1 / perToken
  const { state } = gauge.placement.model
  if (state === 'ready') {
    out.loadS = 0
    out.evictS = 0
  } else {
    const isLoading = state === 'loading' || inFlight > 0
    out.loadS = isLoading ? remainingLoad(gauge, nowS) : gauge.loadS
    out.evictS = isLoading ? 0 : (gauge.evictS * coolingS) / (coolingS + Math.max(0, nowS - gauge.evictAtS))
  }
  out.firstTokenS = out.waitS + out.loadS + out.prefillS
  out.finishS = out.firstTokenS + out.evictS + out.decodeS
}

/** Seconds until a slot is free, from the predicted work in the line; what is at the engine is half done on average. */
function waitFor({ inFlight, slots, workS }: Gauge): number {
  if (inFlight < slots) return 0
  return Math.max(0, (workS * (1 - (0.5 * slots) / inFlight)) / slots)
}

function remainingLoad(gauge: Gauge, nowS: number): number {
  const { progress } = gauge.placement.model
  if (progress?.etaS != null) return progress.etaS
  if (progress?.percent != null) return gauge.loadS * (1 - progress.percent / 100)
  const since = gauge.loadingSinceS === 0 ? gauge.loadS / 2 : nowS - gauge.loadingSinceS
  // One that takes longer than it should will take a while yet.
  return Math.max(gauge.loadS / 10, gauge.loadS - since)
}
