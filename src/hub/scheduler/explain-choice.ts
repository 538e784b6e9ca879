/** Unfolds remembered choices into words and figures, when somebody asks. Pure. */
import type { ExplainedCandidate, ExplainedChoice, ExplainResponse } from '../../protocol/explain.ts'
import { serviceLevels } from '../../protocol/lane.ts'
import { modelStates } from '../../protocol/model.ts'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import type { Asked, Decision, Decisions } from './decisions.ts'
import { bases } from './gauge.ts'

type Figures = ReturnType<Decisions['figuresOf']>

/** Null when the request is not known, or so long ago that it was written over. */
export function explainRequest(decisions: Decisions, requestId: string): ExplainResponse | null {
  const found = decisions.find(requestId)
  // Not always the latest: what was to go on to another node may have found its line full.
  const told = found.filter(({ outcome }) => outcome !== null).at(-1) ?? found.at(-1)
  if (told === undefined) return null
  const { asked, outcome } = told
  return {
    id: asked.id,
    time: asked.timeMs,
    asked: asked.model,
    lane: asked.lane,
    level: serviceLevels[asked.lane],
    choices: found.map((decision) => explainChoice(decisions, decision)),
    outcome: outcome && describeOutcome(outcome, told),
    compared: outcome === null ? [] : compare(decisions.figuresOf(told, 0), outcome),
  }
}

function explainChoice(decisions: Decisions, decision: Decision): ExplainedChoice {
  const { asked, keepsLevel, considered, movedOn, gauges } = decision
  const winner = decisions.figuresOf(decision, 0)
  const candidates = gauges.map((gauge, place): ExplainedCandidate => {
    const figures = decisions.figuresOf(decision, place)
    const { node, model } = gauge.placement
    const isChosen = place === 0
    return {
      node: node.handle.name,
      model: model.id,
      chosen: isChosen,
      state: modelStates[figures.state]!,
      background: figures.background === 1,
      trusted: figures.trusted === 1,
      before: figures.inFlight,
      parallel: figures.slots,
      predicted: predictedOf(figures),
      basis: {
        prefill: bases[figures.prefillBasis]!,
        decode: bases[figures.decodeBasis]!,
        load: bases[figures.loadBasis]!,
      },
      why: isChosen ? whyChosen(figures, considered) : whyNot(figures, winner),
    }
  })
  return { tier: tierOf(asked), considered, keepsLevel, movedOn, candidates }
}

function predictedOf(figures: Figures): ExplainedCandidate['predicted'] {
  const { finishS, waitS, loadS, evictS, prefillS, decodeS, firstTokenS, decodeTokS } = figures
  const { promptTokens, cachedTokens, answerTokens } = figures
  return {
    finishS, waitS, loadS, evictS, prefillS, decodeS, firstTokenS, decodeTokS,
    promptTokens, cachedTokens, answerTokens,
  } // biome-ignore format: a list of names
}

function tierOf({ tier, hard, model }: Asked): ExplainedChoice['tier'] {
  if (tier === null) return null
  if (model !== 'auto') return { became: tier, why: 'It was asked for by name.' }
  const why =
    hard === 'none'
      ? 'Nothing about the request is hard, so the earliest finish decides.'
      : `The request is hard (${hard}), so the largest model that is fast enough is taken.`
  return { became: tier, why }
}

const ready = modelStates.indexOf('ready')
const failed = modelStates.indexOf('failed')

function whyChosen({ state, background }: Figures, considered: number): string {
  if (considered === 1) return 'It is the only one that has the model.'
  if (background === 1) return 'The others are away, or busy beyond the lane’s level.'
  return state === ready ? 'It finishes first, quality considered.' : 'It finishes first, its load included.'
}

/** The class first, as the contest does it; then the largest difference among the terms. */
function whyNot(other: Figures, winner: Figures): string {
  const rank = Math.floor(other.key / 1e9)
  if (other.trusted === 0 && winner.trusted === 1) return 'Its node is not trusted now.'
  if (other.state === failed && winner.state !== failed) return 'Its last load failed.'
  if ((rank & 2) !== 0)
    return 'The model does not fit its memory, or its context is too short for the prompt.'
  if (other.background === 1 && winner.background === 0)
    return 'It serves in the background, and another keeps the lane’s level or finishes earlier.'
  const later = other.finishS - winner.finishS
  if (later <= 0) {
    return other.score > winner.score
      ? `It finishes ${round(-later)} s earlier, in a lower quality than that is worth.`
      : 'It is as good, and was listed later.'
  }
  const terms = ['waitS', 'loadS', 'evictS', 'prefillS', 'decodeS'] as const
  const [first] = [...terms].sort((a, b) => other[b] - winner[b] - (other[a] - winner[a]))
  return `It finishes ${round(later)} s later: ${words[first!](other[first!], winner[first!])}.`
}

const words: Record<
  'waitS' | 'loadS' | 'evictS' | 'prefillS' | 'decodeS',
  (its: number, best: number) => string
> = {
  waitS: (its) => `${round(its)} s until its turn`,
  loadS: (its) => `${round(its)} s to load the model`,
  evictS: () => 'the load drives out a model that is in use',
  prefillS: (its, best) => `it reads the prompt in ${round(its)} s instead of ${round(best)} s`,
  decodeS: (its, best) => `it writes the answer in ${round(its)} s instead of ${round(best)} s`,
}

const round = (value: number): number => Number(value.toPrecision(value >= 100 ? 3 : 2))

function describeOutcome(record: AnswerRecord, { gauges }: Decision): ExplainResponse['outcome'] {
  const { status, error, queueMs, ttftMs, durationMs, prefillTokS, decodeTokS } = record
  const { promptTokens, cachedTokens, completionTokens, retries } = record
  return {
    status,
    error,
    node: gauges[0]!.placement.node.handle.name,
    model: record.model,
    queueS: queueMs / 1000,
    firstTokenS: ttftMs === null ? null : ttftMs / 1000,
    durationS: durationMs / 1000,
    prefillTokS,
    decodeTokS,
    promptTokens,
    cachedTokens,
    completionTokens,
    retries,
  }
}

function compare(predicted: Figures, record: AnswerRecord): ExplainResponse['compared'] {
  const rows: ExplainResponse['compared'] = []
  const add = (what: string, unit: string, expected: number, measured: number | null) => {
    if (measured !== null) rows.push({ what, unit, predicted: expected, measured })
  }
  const read = predicted.promptTokens - predicted.cachedTokens
  add('finish', 's', predicted.finishS - predicted.evictS, record.durationMs / 1000)
  add('queue and load', 's', predicted.waitS + predicted.loadS, record.queueMs / 1000)
  add('first token', 's', predicted.firstTokenS, record.ttftMs === null ? null : record.ttftMs / 1000)
  add('prefill', 'tokens/s', predicted.prefillS > 0 ? read / predicted.prefillS : 0, record.prefillTokS)
  add('decode', 'tokens/s', predicted.decodeTokS, record.decodeTokS)
  add('prompt', 'tokens', predicted.promptTokens, record.promptTokens)
  add('of it cached', 'tokens', predicted.cachedTokens, record.cachedTokens)
  add('answer', 'tokens', predicted.answerTokens, record.completionTokens)
  return rows
}
