import { newId } from '../../../core/ids.ts'
import { completionParameters } from '../parameters.ts'
import { runAnswer, timingsOf, usageOf } from './answer.ts'
import type { Outcome } from './decoder.ts'
import { type Body, badParameter, booleanAt, integerIn, refuseUnknown, stringAt } from './fields.ts'
import { EventStream, type Exchange, sendJson } from './http.ts'
import type { LoadedModel } from './load.ts'
import { type TextLogprobs, TextLogprobsCollector } from './logprobs.ts'
import { readSettings, type Settings } from './settings.ts'

/** POST /v1/completions: text in, its continuation out, no chat template. */
interface CompletionRequest {
  settings: Settings
  prompts: { tokens: number[]; text: string }[]
  logprobs: number | null
  grammar: string | null
  echo: boolean
}

const maxPrompts = 64

export function completionRoute(loaded: LoadedModel): (exchange: Exchange) => Promise<void> {
  return async (exchange) => {
    const request = readRequest(loaded, exchange.body)
    const shape = {
      id: newId('cmpl'),
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: loaded.id,
    }
    if (request.settings.stream) await stream(loaded, exchange, request, shape)
    else await whole(loaded, exchange, request, shape)
  }
}

function readRequest(loaded: LoadedModel, body: Body): CompletionRequest {
  refuseUnknown(body, completionParameters)
  return {
    settings: readSettings(body, loaded),
    prompts: readPrompts(loaded, body),
    logprobs: integerIn(body, 'logprobs', 0, 20) ?? null,
    grammar: stringAt(body, 'grammar') ?? null,
    echo: booleanAt(body, 'echo') ?? false,
  }
}

/** A string, several, a list of token ids, or several such lists. */
function readPrompts(loaded: LoadedModel, body: Body): CompletionRequest['prompts'] {
  const { prompt } = body
  if (prompt === undefined || prompt === null) throw badParameter('prompt', 'prompt is missing.')
  const isTokens =
    Array.isArray(prompt) && prompt.length > 0 && prompt.every((entry) => typeof entry === 'number')
  const list: unknown[] = Array.isArray(prompt) && !isTokens ? prompt : [prompt]
  if (list.length === 0 || list.length > maxPrompts) {
    throw badParameter('prompt', `prompt must hold 1 to ${maxPrompts} prompts.`)
  }
  return list.map((entry) => {
    if (typeof entry === 'string') return { tokens: loaded.vocabulary.tokenizePrompt(entry), text: entry }
    if (Array.isArray(entry) && entry.every((token) => isToken(token, loaded.vocabularySize))) {
      const tokens = entry as number[]
      const text = Buffer.concat(tokens.map((token) => loaded.vocabulary.bytes(token))).toString('utf8')
      return { tokens, text }
    }
    throw badParameter(
      'prompt',
      `prompt must be text or token ids below ${loaded.vocabularySize}, or an array of either.`,
    )
  })
}

export function isToken(value: unknown, vocabularySize: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < vocabularySize
}

type OnText = (index: number, text: string, logprobs: TextLogprobs | null) => void

/** All choices of all prompts, numbered through as OpenAI numbers them. */
async function runAll(
  loaded: LoadedModel,
  request: CompletionRequest,
  signal: AbortSignal,
  onText: OnText,
): Promise<Outcome[][]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const { settings } = request
  const runs = request.prompts.map((prompt, at) =>
    Promise.all(
      Array.from({ length: settings.choices }, async (_, choice) => {
        const index = at * settings.choices + choice
        const collector = new TextLogprobsCollector(loaded.vocabulary)
        if (request.echo) onText(index, prompt.text, null)
        return runAnswer(loaded, {
          prompt: prompt.tokens,
          sampling: { ...settings.sampling, seed: (settings.sampling.seed + choice) >>> 0 },
          maxTokens: settings.maxTokens,
          stop: settings.stop,
          grammar: request.grammar,
          logprobs: request.logprobs,
          signal: either,
          onText: (text, logprobs) => {
            onText(index, text, request.logprobs === null ? null : collector.add(logprobs))
            return 'go'
          },
        })
      }),
    ),
  )
  try {
    return await Promise.all(runs)
  } catch (cause) {
    failed.abort(cause)
    await Promise.allSettled(runs)
    throw cause
  }
}

async function stream(
  loaded: LoadedModel,
  exchange: Exchange,
  request: CompletionRequest,
  shape: object,
): Promise<void> {
  const events = new EventStream(exchange.response)
  const withUsage = request.settings.includeUsage
  const chunk = (choices: object[]): object => ({ ...shape, choices, ...(withUsage ? { usage: null } : {}) })
  const outcomes = await runAll(loaded, request, exchange.signal, (index, text, logprobs) =>
    events.send(chunk([{ index, text, logprobs, finish_reason: null }])),
  )
  const timings = timingsOf(outcomes.flat())
  const ends = outcomes.flat()
  for (const [index, end] of ends.entries()) {
    const last = chunk([{ index, text: '', logprobs: null, finish_reason: end.finish }])
    events.send(index === ends.length - 1 && !withUsage ? { ...last, timings } : last)
  }
  if (withUsage) events.send({ ...shape, choices: [], usage: usageOf(outcomes), timings })
  events.done()
}

async function whole(
  loaded: LoadedModel,
  exchange: Exchange,
  request: CompletionRequest,
  shape: object,
): Promise<void> {
  const texts: string[] = []
  const logprobs: TextLogprobs[] = []
  const outcomes = await runAll(loaded, request, exchange.signal, (index, text, part) => {
    texts[index] = (texts[index] ?? '') + text
    if (!part) return
    const known = logprobs[index]
    if (!known) logprobs[index] = part
    else {
      known.tokens.push(...part.tokens)
      known.token_logprobs.push(...part.token_logprobs)
      known.top_logprobs.push(...part.top_logprobs)
      known.text_offset.push(...part.text_offset)
    }
  })
  const choices = outcomes.flat().map((outcome, index) => ({
    index,
    text: texts[index] ?? '',
    logprobs: logprobs[index] ?? null,
    finish_reason: outcome.finish,
  }))
  sendJson(exchange.response, {
    ...shape,
    choices,
    usage: usageOf(outcomes),
    timings: timingsOf(outcomes.flat()),
  })
}
