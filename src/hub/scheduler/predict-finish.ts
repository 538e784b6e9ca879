/**
 * When a request would be answered whole if it went to a model on a node: its turn, the load, the part of the prompt that
 * is not cached there, and the tokens of the answer. Pure, and without garbage: it runs for every candidate of every
 * request, and once more for those that are remembered for `holon explain`.
 */
import { type HotNumbers, hot } from './hot-numbers.ts'

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
  waitS: 0.1, loadS: 0.1, evictS: 0.1, prefillS: 0.1, decodeS: 0.1, finishS: 0.1, firstTokenS: 0.1, decodeTokS: 0.1,
  promptTokens: 0.1, cachedTokens: 0.1, answerTokens: 0.1,
}) // biome-ignore format: a list of numbers

/** What is in memory and was not used for so long is missed half as much. Seconds. */
export const coolingS = 600

/**
 * @param at where the candidate's numbers are
 * @param mark which choice this is: cached tokens noted for another do not count
 * @param nowS seconds, any epoch as long as it is the gauge's
 */
export function predictFinish(
  numbers: HotNumbers,
  at: number,
  size: Size,
  mark: number,
  nowS: number,
  out: Terms,
): void {
  const { values } = numbers.gauges
  const usual = values[at + hot.usual]!
  const inFlight = values[at + hot.inFlight]!
  const slots = values[at + hot.slots]!
  const prompt = Math.max(1, size.bytes * numbers.usual.values[usual]!)
  const cached = values[at + hot.mark] === mark ? Math.min(values[at + hot.markTokens]!, prompt - 1) : 0
  const answer = size.generates
    ? Math.max(1, Math.min(size.maxTokens ?? 1e9, numbers.usual.values[usual + 1]!))
    : 0
  // Other models on the machine have their share of it.
  const others = numbers.nodes.values[values[at + hot.node]!]! - inFlight
  const shared = 1 + Math.min(4, Math.max(0, others))
  const fresh = prompt - cached
  const perToken =
    (values[at + hot.decode0]! + values[at + hot.decode1]! * (prompt + answer / 2)) *
    (1 + values[at + hot.crowding]! * Math.min(inFlight, slots - 1)) *
    shared
  out.promptTokens = prompt
  out.cachedTokens = cached
  out.answerTokens = answer
  out.waitS = waitFor(inFlight, slots, values[at + hot.workS]!)
  out.prefillS =
    fresh * (values[at + hot.prefill0]! + values[at + hot.prefill1]! * (cached + fresh / 2)) * shared
  out.decodeS = answer * perToken
  out.decodeTokS = 1 / perToken
  out.loadS = 0
  out.evictS = 0
  const cold = values[at + hot.cold]!
  if (cold !== 0) {
    const loadS = values[at + hot.loadS]!
    if (cold === 1 || inFlight > 0) {
      // One that takes longer than it should will take a while yet.
      out.loadS = Math.max(loadS / 10, values[at + hot.loadEndS]! - nowS)
    } else {
      const idleS = Math.max(0, nowS - values[at + hot.evictAtS]!)
      out.loadS = loadS
      out.evictS = (values[at + hot.evictS]! * coolingS) / (coolingS + idleS)
    }
  }
  out.firstTokenS = out.waitS + out.loadS + out.prefillS
  out.finishS = out.firstTokenS + out.evictS + out.decodeS
}

/** Seconds until a slot is free, from the predicted work in the line; what is at the engine is half done on average. */
function waitFor(inFlight: number, slots: number, workS: number): number {
  if (inFlight < slots) return 0
  return Math.max(0, (workS * (1 - (0.5 * slots) / inFlight)) / slots)
}
