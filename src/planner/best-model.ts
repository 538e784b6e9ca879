import { modelById } from '../facts/index.ts'
import type { Machine } from './machines.ts'
import { modelFromFact } from './model-from-facts.ts'
import { soloPlacement } from './placements.ts'
import { readRequest } from './request.ts'
import type { Range } from './speed/predict.ts'

/** The best model for a machine: the ablest of the catalogue that fits with a useful context and answers fast enough. */

export interface BestModel {
  modelId: string
  hfRepo: string
  /** A repository with GGUF files of it, for `holon pull`; null when none is in the facts. */
  ggufRepo: string | null
  quant: string
  weightsBytes: number
  memoryBytes: number
  decodeTokS: Range
  ttftS: Range
  because: string
}

/** Models worth recommending now, ablest first by published evaluations of their families; older ones are left out. */
const current = [
  'kimi-k2.6',
  'glm-5.1',
  'deepseek-v3.2',
  'qwen3.5-397b-a17b',
  'glm-4.7',
  'minimax-m2.7',
  'qwen3-235b-a22b',
  'qwen3.5-122b-a10b',
  'gpt-oss-120b',
  'glm-4.5-air',
  'qwen3-next-80b-a3b',
  'qwen3.6-27b',
  'qwen3.6-35b-a3b',
  'gemma-4-31b',
  'mistral-small-3.2-24b',
  'gemma-4-26b-a4b',
  'gpt-oss-20b',
  'qwen3-32b',
  'qwen3-30b-a3b',
  'qwen3-14b',
  'gemma-4-12b',
  'qwen3.5-9b',
  'qwen3-8b',
  'llama-3.1-8b',
  'qwen3.5-4b',
  'qwen3-4b',
  'llama-3.2-3b',
  'qwen3-1.7b',
  'llama-3.2-1b',
  'qwen3-0.6b',
  'smollm2-360m',
  'smollm2-135m',
]

/** Quants to try, best first. Below four bits a smaller model of more bits is usually abler, so they are not tried. */
const quantsToTry = ['Q8_0', 'Q6_K', 'Q5_K_M', 'Q4_K_M']

export interface BestModelOptions {
  contextTokens?: number
  /** Decode speed below which an answer is no pleasure to read, tokens per second. */
  leastTokS?: number
  /** Seconds to the first token of an answer to 512 tokens above which nobody waits gladly. */
  mostTtftS?: number
  /** Only models that `holon pull` can get as GGUF. */
  asGguf?: boolean
  /** How many to return; they differ in model, not in quant. */
  count?: number
}

/**
 * Ranked recommendations for one machine, ablest first; empty when not even the smallest fits.
 * Slower than `leastTokS` and `mostTtftS` ask for is taken only when nothing reaches them.
 */
export function bestModelsFor(machine: Machine, options: BestModelOptions = {}): BestModel[] {
  const { contextTokens = 8192, leastTokS = 10, mostTtftS = 20, count = 3, asGguf = false } = options
  const found: BestModel[] = []
  let fallback: BestModel | null = null
  for (const id of current) {
    const fact = modelById(id)
    if (!fact || (asGguf && !fact.gguf_repo)) continue
    const model = modelFromFact(fact)
    const names = model.nativeExpertBpw !== null ? ['MXFP4'] : quantsToTry
    for (const quant of names) {
      const request = readRequest({
        model: id,
        quant,
        contextTokens: Math.min(contextTokens, model.maxContext ?? contextTokens),
        promptTokens: Math.min(512, contextTokens),
      })
      const placement = soloPlacement(request, machine)
      if (!placement.fits) continue
      const candidate: BestModel = {
        modelId: id,
        hfRepo: fact.hf_repo,
        ggufRepo: fact.gguf_repo ?? null,
        quant,
        weightsBytes: Math.round(request.weights.total),
        memoryBytes: placement.memory[0]!.totalBytes,
        decodeTokS: placement.decodeTokS,
        ttftS: placement.ttftS,
        because: `${(placement.memory[0]!.totalBytes / 1e9).toFixed(1)} of ${(machine.usable.limitBytes / 1e9).toFixed(1)} GB with ${contextTokens} tokens of context, about ${placement.decodeTokS.expected.toFixed(0)} tok/s`,
      }
      if (fallback === null || candidate.decodeTokS.expected > fallback.decodeTokS.expected)
        fallback = candidate
      if (candidate.decodeTokS.expected < leastTokS || candidate.ttftS.expected > mostTtftS) continue
      found.push(candidate)
      break
    }
    if (found.length >= count) break
  }
  return found.length > 0 ? found : fallback ? [fallback] : []
}

/** The first of `bestModelsFor`, or null when not even the smallest model fits. */
export function bestModelFor(machine: Machine, options: BestModelOptions = {}): BestModel | null {
  return bestModelsFor(machine, { ...options, count: 1 })[0] ?? null
}
