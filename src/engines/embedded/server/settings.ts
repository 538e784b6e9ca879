import { type Body, badParameter, booleanAt, integerIn, isObject, numberIn, objectAt } from './fields.ts'
import type { Sampling } from './sampling.ts'

/** What chat and text completions have in common. */
export interface Settings {
  sampling: Sampling
  maxTokens: number | null
  stop: string[]
  choices: number
  stream: boolean
  includeUsage: boolean
}

const maxStops = 16

/** What is not given is as the model's file says, else as llama.cpp has it. */
export function readSettings(
  body: Body,
  model: { vocabularySize: number; sampling: Omit<Sampling, 'seed'> },
): Settings {
  const defaults = model.sampling
  const temperature = numberIn(body, 'temperature', 0, 100)
  const streamOptions = objectAt(body, 'stream_options')
  const stream = booleanAt(body, 'stream') ?? false
  if (streamOptions && !stream) {
    throw badParameter('stream_options', 'stream_options may be given only with "stream": true.')
  }
  return {
    sampling: {
      temperature: temperature ?? defaults.temperature,
      topK: integerIn(body, 'top_k', 0, 1_000_000) ?? defaults.topK,
      topP: numberIn(body, 'top_p', 0, 1) ?? defaults.topP,
      minP: numberIn(body, 'min_p', 0, 1) ?? defaults.minP,
      seed: readSeed(body),
      frequencyPenalty: numberIn(body, 'frequency_penalty', -2, 2) ?? 0,
      presencePenalty: numberIn(body, 'presence_penalty', -2, 2) ?? 0,
      repeatPenalty: numberIn(body, 'repeat_penalty', 0.01, 100) ?? defaults.repeatPenalty,
      bias: readBias(body, model.vocabularySize),
    },
    maxTokens:
      integerIn(body, 'max_completion_tokens', 1, 2 ** 31) ??
      integerIn(body, 'max_tokens', 1, 2 ** 31) ??
      null,
    stop: readStops(body),
    choices: integerIn(body, 'n', 1, 16) ?? 1,
    stream,
    includeUsage: (streamOptions && booleanAt(streamOptions, 'include_usage')) ?? false,
  }
}

/** Any integer is a seed; the sampler takes 32 bits. Without one the answer differs from time to time. */
function readSeed(body: Body): number {
  const seed = integerIn(body, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  if (seed === undefined) return Math.floor(Math.random() * 2 ** 32)
  return Number(BigInt.asUintN(32, BigInt(seed)))
}

function readStops(body: Body): string[] {
  const { stop } = body
  if (stop === undefined || stop === null) return []
  const stops = Array.isArray(stop) ? stop : [stop]
  if (!stops.every((entry): entry is string => typeof entry === 'string' && entry.length > 0)) {
    throw badParameter('stop', 'stop must be a string or an array of strings, none of them empty.')
  }
  if (stops.length > maxStops) throw badParameter('stop', `stop may hold at most ${maxStops} strings.`)
  return stops
}

function readBias(body: Body, vocabularySize: number): Map<number, number> {
  const bias = new Map<number, number>()
  const given = body.logit_bias
  if (given === undefined || given === null) return bias
  if (!isObject(given)) throw badParameter('logit_bias', 'logit_bias must map token ids to numbers.')
  for (const [key, value] of Object.entries(given)) {
    const token = Number(key)
    if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
      throw badParameter(
        'logit_bias',
        `logit_bias names "${key}", but token ids are whole numbers below ${vocabularySize}.`,
      )
    }
    if (typeof value !== 'number' || !(value >= -100 && value <= 100)) {
      throw badParameter('logit_bias', `logit_bias["${key}"] must be a number from -100 to 100.`)
    }
    bias.set(token, value)
  }
  return bias
}
