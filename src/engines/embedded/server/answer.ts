import { StringDecoder } from 'node:string_decoder'
import { HolonError } from '../../../core/errors.ts'
import type { NativeGrammarState } from './binding.ts'
import type { Outcome } from './decoder.ts'
import type { LoadedModel } from './load.ts'
import { createSampler, type Logprobs, type Sampling } from './sampling.ts'
import { StopScanner } from './stop-scanner.ts'

/** One answer to one prompt, as text: whole characters only, and nothing of a stop string. */
export interface AnswerRequest {
  prompt: number[]
  sampling: Sampling
  maxTokens: number | null
  stop: string[]
  /** GBNF the answer must follow. */
  grammar: string | null
  logprobs: number | null
  /** Special tokens that are part of the text (tool-call markers); others never show. */
  visible?: ReadonlySet<string>
  signal: AbortSignal
  onPrompt?(): void
  /** 'stop' ends the answer here. */
  onText(text: string, logprobs: Logprobs[]): 'go' | 'stop'
}

export interface AnswerEnd extends Outcome {
  /** The stop string that ended it. */
  stopText: string | null
}

const maxGrammarBytes = 256 * 1024

/** @throws HolonError as {@link Decoder.generate}, and invalid_parameter for a grammar that does not parse */
export async function runAnswer(loaded: LoadedModel, request: AnswerRequest): Promise<AnswerEnd> {
  const { decoder, vocabulary, native, model } = loaded
  if (!decoder) {
    throw new HolonError(
      'invalid_parameter',
      `${loaded.id} is an embedding model: it turns text into vectors and cannot write any.`,
      { param: 'model', source: 'engine', hint: 'Use it with /v1/embeddings.' },
    )
  }
  const room = Math.max(1, loaded.contextTokens - request.prompt.length)
  const maxTokens = Math.min(request.maxTokens ?? room, room)
  const grammar = request.grammar === null ? null : compileGrammar(loaded, request.grammar)
  const sampler = createSampler(native, model, request.sampling, { maxTokens, grammar })
  const characters = new StringDecoder('utf8')
  const scanner = new StopScanner(request.stop)
  let pending: Logprobs[] = []
  const emit = (text: string): 'go' | 'stop' => {
    if (text === '') return 'go'
    const entries = pending
    pending = []
    return request.onText(text, entries)
  }
  const outcome = await decoder.generate({
    prompt: request.prompt,
    maxTokens,
    sampler,
    logprobs: request.logprobs,
    signal: request.signal,
    onPrompt: () => request.onPrompt?.(),
    onToken: (token, logprobs) => {
      if (logprobs) pending.push(logprobs)
      const hidden = vocabulary.isControl(token) && !request.visible?.has(vocabulary.name(token))
      if (hidden) return 'go'
      const { text, stopped } = scanner.push(characters.write(vocabulary.bytes(token)))
      if (stopped) pending = pending.slice(0, -1)
      const wish = emit(text)
      return stopped ? 'stop' : wish
    },
  })
  // Bytes that never became a character are dropped: half a character is worse than none.
  emit(scanner.flush())
  return { ...outcome, stopText: scanner.met }
}

function compileGrammar(loaded: LoadedModel, gbnf: string): NativeGrammarState {
  const { native, model } = loaded
  if (Buffer.byteLength(gbnf) > maxGrammarBytes) {
    throw new HolonError('invalid_parameter', `The grammar is longer than ${maxGrammarBytes} bytes.`, {
      param: 'grammar',
      source: 'engine',
    })
  }
  try {
    const grammar = new native.AddonGrammar(gbnf, { addonExports: native })
    return new native.AddonGrammarEvaluationState(model, grammar)
  } catch (cause) {
    throw new HolonError('invalid_parameter', 'The grammar is not valid GBNF.', {
      param: 'grammar',
      source: 'engine',
      hint: 'It needs a rule named "root"; see llama.cpp\u2019s grammars/README.md.',
      cause,
    })
  }
}

export interface Timings {
  cache_n: number
  prompt_n: number
  prompt_ms: number
  prompt_per_token_ms: number | null
  prompt_per_second: number | null
  predicted_n: number
  predicted_ms: number
  predicted_per_token_ms: number | null
  predicted_per_second: number | null
}

/** llama-server's `timings`. Several choices count together; they ran side by side, so the longest time holds. */
export function timingsOf(outcomes: readonly Outcome[]): Timings {
  const sum = (value: (outcome: Outcome) => number): number => outcomes.reduce((a, o) => a + value(o), 0)
  const most = (value: (outcome: Outcome) => number): number => Math.max(0, ...outcomes.map(value))
  const promptN = sum((o) => o.promptTokens - o.cachedTokens)
  const promptMs = most((o) => o.promptMs)
  const predictedN = sum((o) => o.predictedTokens)
  const predictedMs = most((o) => o.predictedMs)
  const per = (a: number, b: number): number | null => (b > 0 ? a / b : null)
  return {
    cache_n: sum((o) => o.cachedTokens),
    prompt_n: promptN,
    prompt_ms: promptMs,
    prompt_per_token_ms: per(promptMs, promptN),
    prompt_per_second: per(promptN * 1000, promptMs),
    predicted_n: predictedN,
    predicted_ms: predictedMs,
    predicted_per_token_ms: per(predictedMs, predictedN),
    predicted_per_second: per(predictedN * 1000, predictedMs),
  }
}

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  prompt_tokens_details: { cached_tokens: number }
}

/** A prompt is counted once however many choices answer it, as OpenAI counts. */
export function usageOf(prompts: readonly (readonly Outcome[])[]): Usage {
  let prompt = 0
  let cached = 0
  let completion = 0
  for (const outcomes of prompts) {
    prompt += outcomes[0]?.promptTokens ?? 0
    cached += Math.min(...outcomes.map((outcome) => outcome.cachedTokens))
    for (const outcome of outcomes) completion += outcome.predictedTokens
  }
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  }
}
