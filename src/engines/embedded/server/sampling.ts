import type {
  NativeContext,
  NativeGrammarState,
  NativeModel,
  NativeModule,
  NativeSampler,
  NativeSamplerConfig,
} from './binding.ts'

/** How the next token is chosen. Defaults are llama.cpp's own, so that both engines answer alike. */
export interface Sampling {
  temperature: number
  topK: number
  topP: number
  minP: number
  seed: number
  frequencyPenalty: number
  presencePenalty: number
  repeatPenalty: number
  /** Added to the logits of these tokens. */
  bias: ReadonlyMap<number, number>
}

export const defaultSampling: Omit<Sampling, 'seed'> = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repeatPenalty: 1,
  bias: new Map(),
}

/** Penalties look at what was generated, all of it, and never at the prompt: OpenAI's meaning of them. */
export function createSampler(
  native: NativeModule,
  model: NativeModel,
  sampling: Sampling,
  options: { maxTokens: number; grammar: NativeGrammarState | null },
): NativeSampler {
  const config: NativeSamplerConfig = {
    temperature: sampling.temperature,
    topK: sampling.topK,
    topP: sampling.topP,
    minP: sampling.minP,
    seed: sampling.seed,
  }
  const { frequencyPenalty, presencePenalty, repeatPenalty } = sampling
  if (frequencyPenalty !== 0 || presencePenalty !== 0 || repeatPenalty !== 1) {
    config.repeatPenalty = repeatPenalty
    config.repeatPenaltyFrequencyPenalty = frequencyPenalty
    config.repeatPenaltyPresencePenalty = presencePenalty
    config.repeatPenaltyMaxTokens = Math.max(1, options.maxTokens)
    config.repeatPenaltyTokens = new Uint32Array(0)
  }
  if (sampling.bias.size > 0) {
    config.tokenBiasKeys = Uint32Array.from(sampling.bias.keys())
    config.tokenBiasValues = Float32Array.from(sampling.bias.values())
  }
  if (options.grammar) config.grammarEvaluationState = options.grammar
  const sampler = new native.AddonSampler(model)
  sampler.applyConfig(config)
  return sampler
}

export interface TokenLogprob {
  token: number
  logprob: number
}
export interface Logprobs extends TokenLogprob {
  /** The likeliest tokens, best first. */
  top: TokenLogprob[]
}

/**
 * Log probabilities under the model itself, before temperature, cut-offs and grammar change them.
 * `plain` is a greedy sampler with no settings: it leaves all logits as they are.
 */
export async function readLogprobs(
  context: NativeContext,
  logit: number,
  plain: NativeSampler,
  token: number,
  top: number,
): Promise<Logprobs> {
  const [, , , logits = [], weight] = await context.sampleToken(
    logit,
    plain,
    false,
    false,
    [[token], false, false, false, Math.max(1, top)],
    true,
  )
  const found = new Map<number, number>()
  for (let index = 0; index + 1 < logits.length; index += 2) {
    found.set(logits[index] as number, logits[index + 1] as number)
  }
  const best = Math.max(...found.values())
  const total = best + Math.log(weight)
  const sorted = [...found].map(([id, value]) => ({ token: id, logprob: value - total }))
  sorted.sort((a, b) => b.logprob - a.logprob || a.token - b.token)
  const logprob = (found.get(token) ?? Number.NEGATIVE_INFINITY) - total
  return { token, logprob: Math.max(-9999, logprob), top: sorted.slice(0, top) }
}
