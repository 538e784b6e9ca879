import { type ModelFact, modelById, models, plainName } from '../facts/index.ts'
import { impliedMoe, modelFromFact, typicalShape } from './model-from-facts.ts'
import type { ModelSpec } from './model-spec.ts'

/**
 * Resolves a model as people name it to a specification: a catalogue id, a file name ("Qwen3-8B-Q4_K_M.gguf"), an
 * Ollama tag ("qwen3.6:27b"), a fine-tune whose name still tells the base, or a bare size ("dense:70b", "moe:235b-a22b").
 */

export interface NamedSize {
  totalB: number | null
  activeB: number | null
}

/** Sizes in a name: "30B-A3B" gives 30 and 3, "8x7b" 46.7 and 12.9, "350M" 0.35. */
export function sizeInName(name: string): NamedSize {
  const text = name.toLowerCase().replace(/[_:/]/g, '-')
  const mixture = /(\d+)x(\d+(?:\.\d+)?)b/.exec(text)
  if (mixture) {
    const experts = Number(mixture[1])
    const each = Number(mixture[2])
    return { totalB: experts * each * 0.83, activeB: each * 1.84 }
  }
  const total = /(?:^|[^a-z0-9.])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])/.exec(text)
  const active = /-a(\d+(?:\.\d+)?)b(?![a-z0-9])/.exec(text)
  return {
    totalB: total ? Number(total[1]) * (total[2] === 'm' ? 0.001 : 1) : null,
    activeB: active ? Number(active[1]) : null,
  }
}

/** Name patterns, most telling first. The size in the name, when there is one, chooses within a family. */
const patterns: [RegExp, string][] = [
  [/gpt-?oss.*120b/, 'gpt-oss-120b'],
  [/gpt-?oss/, 'gpt-oss-20b'],
  [/deepseek.*r1.*distill.*llama.*70b/, 'llama-3.3-70b'],
  [/deepseek.*r1.*distill.*llama/, 'llama-3.1-8b'],
  [/deepseek.*r1.*distill.*qwen.*1\.5b/, 'qwen2.5-1.5b'],
  [/deepseek.*r1.*distill.*qwen.*7b/, 'qwen2.5-7b'],
  [/deepseek.*r1.*distill.*qwen.*14b/, 'qwen2.5-14b'],
  [/deepseek.*r1.*distill.*qwen.*32b/, 'qwen2.5-32b'],
  [/deepseek.*coder.*v2.*lite/, 'deepseek-coder-v2-lite'],
  [/deepseek.*v2.*lite/, 'deepseek-v2-lite'],
  [/deepseek-?v4\.1.*flash/, 'deepseek-v4.1-flash'],
  [/deepseek-?v4.*pro/, 'deepseek-v4-pro'],
  [/deepseek-?v4/, 'deepseek-v4-flash'],
  [/deepseek-?v3\.2/, 'deepseek-v3.2'],
  [/deepseek-?v3\.1/, 'deepseek-v3.1'],
  [/deepseek-?v3/, 'deepseek-v3'],
  [/deepseek-?r1/, 'deepseek-r1'],
  [/kimi-?linear/, 'kimi-linear-48b-a3b'],
  [/kimi-?k3/, 'kimi-k3'],
  [/kimi-?k2/, 'kimi-k2'],
  [/glm-?5\.3.*flash/, 'glm-5.3-flash'],
  [/glm-?5\.[23]/, 'glm-5.2'],
  [/glm-?5/, 'glm-5'],
  [/glm-?4\.7-?flash/, 'glm-4.7-flash'],
  [/glm-?4\.5-?air|glm-?4\.6-?air/, 'glm-4.5-air'],
  [/glm-?4\.[567]/, 'glm-4.6'],
  [/glm-?4.*9b/, 'glm-4-9b'],
  [/minimax-?m3/, 'minimax-m3'],
  [/minimax/, 'minimax-m2.5'],
  [/mimo.*flash/, 'mimo-v2-flash'],
  [/step-?3\.\d.*flash/, 'step-3.7-flash'],
  [/qwen3\.8.*flash/, 'qwen3.8-flash-next'],
  [/qwen3.*coder.*next/, 'qwen3-coder-next'],
  [/qwen3.*next/, 'qwen3-next-80b-a3b'],
  [/qwen3.*(235b|a22b)/, 'qwen3-235b-a22b'],
  [/qwen3.*(480b|a35b)/, 'qwen3-coder-480b-a35b'],
  [/qwen3(?!\.).*(30b|a3b)/, 'qwen3-30b-a3b'],
  [/qwen3\.[5-9].*(35b|a3b)/, 'qwen3.5-35b-a3b'],
  [/qwen3\.[5-9].*122b/, 'qwen3.5-122b-a10b'],
  [/qwen3\.[5-9].*397b/, 'qwen3.5-397b-a17b'],
  [/qwen3\.[5-9].*27b|qwopus.*27b|bonsai-?2.*27b/, 'qwen3.5-27b'],
  [/qwen3\.[5-9].*9b/, 'qwen3.5-9b'],
  [/qwen3\.[5-9].*4b/, 'qwen3.5-4b'],
  [/qwen3\.[5-9].*2b/, 'qwen3.5-2b'],
  [/qwen3\.[5-9].*0\.8b/, 'qwen3.5-0.8b'],
  [/(qwen3(?!\.)|bonsai).*32b/, 'qwen3-32b'],
  [/(qwen3(?!\.)|bonsai).*14b/, 'qwen3-14b'],
  [/(qwen3(?!\.)|bonsai).*8b/, 'qwen3-8b'],
  [/(qwen3(?!\.)|bonsai).*4b/, 'qwen3-4b'],
  [/(qwen3(?!\.)|bonsai).*1\.7b/, 'qwen3-1.7b'],
  [/(qwen3(?!\.)|bonsai).*0\.6b/, 'qwen3-0.6b'],
  [/(qwen-?2\.5|qwen2\b|qwq|qwen-?2-).*72b/, 'qwen2.5-72b'],
  [/(qwen-?2\.5|qwen2\b|qwq|qwen-?2-).*32b|qwq/, 'qwen2.5-32b'],
  [/(qwen-?2\.5|qwen2\b|qwen-?2-).*14b/, 'qwen2.5-14b'],
  [/(qwen-?2\.5|qwen2\b|qwen-?2-).*7b/, 'qwen2.5-7b'],
  [/(qwen-?2\.5|qwen2\b|qwen-?2-).*3b/, 'qwen2.5-3b'],
  [/(qwen-?2\.5|qwen2\b|qwen-?2-).*1\.5b/, 'qwen2.5-1.5b'],
  [/(qwen-?2\.5|qwen2\b|qwen-?2-).*0\.5b/, 'qwen2.5-0.5b'],
  [/llama-?4.*maverick/, 'llama-4-maverick'],
  [/llama-?4/, 'llama-4-scout'],
  [/tinyllama/, 'tinyllama-1.1b'],
  [/llama.*405b/, 'llama-3.1-405b'],
  [/llama-?2.*70b/, 'llama-2-70b'],
  [/llama-?2.*13b/, 'llama-2-13b'],
  [/llama-?2.*7b/, 'llama-2-7b'],
  [/llama-?1?-.*65b/, 'llama-1-65b'],
  [/llama-?1?-.*(30|33)b/, 'llama-1-30b'],
  [/llama-?3.*70b/, 'llama-3.1-70b'],
  [/llama-?3\.2.*1b/, 'llama-3.2-1b'],
  [/llama-?3\.2.*3b/, 'llama-3.2-3b'],
  [/llama-?3.*8b/, 'llama-3.1-8b'],
  [/gemma-?4.*e2b/, 'gemma-4-e2b'],
  [/gemma-?4.*e4b/, 'gemma-4-e4b'],
  [/gemma-?4.*(26b|a4b)/, 'gemma-4-26b-a4b'],
  [/gemma-?4.*31b/, 'gemma-4-31b'],
  [/gemma-?4.*12b/, 'gemma-4-12b'],
  [/gemma-?3n.*e2b/, 'gemma-3n-e2b'],
  [/gemma-?3n/, 'gemma-3n-e4b'],
  [/gemma-?3.*27b/, 'gemma-3-27b'],
  [/gemma-?3.*12b/, 'gemma-3-12b'],
  [/gemma-?3.*4b/, 'gemma-3-4b'],
  [/gemma-?3.*1b/, 'gemma-3-1b'],
  [/gemma-?2.*27b/, 'gemma-2-27b'],
  [/gemma-?2.*9b/, 'gemma-2-9b'],
  [/gemma-?2.*2b/, 'gemma-2-2b'],
  [/mixtral.*8x22b/, 'mixtral-8x22b'],
  [/mixtral/, 'mixtral-8x7b'],
  [/devstral-?2.*123b/, 'devstral-2-123b'],
  [/devstral|mistral-?small|magistral.*small|magistry/, 'mistral-small-3.2-24b'],
  [/mistral-?large/, 'mistral-large-2411'],
  [/mistral-?nemo/, 'mistral-nemo-12b'],
  [/ministral-?3.*14b/, 'ministral-3-14b'],
  [/ministral-?3.*8b/, 'ministral-3-8b'],
  [/ministral-?3.*3b/, 'ministral-3-3b'],
  [/ministral.*8b/, 'ministral-8b'],
  [/codestral/, 'codestral-22b'],
  [/mistral.*7b/, 'mistral-7b-v0.3'],
  [/phi-?4-?mini/, 'phi-4-mini-3.8b'],
  [/phi-?4/, 'phi-4-14b'],
  [/phi-?3\.5-?moe/, 'phi-3.5-moe'],
  [/phi-?3/, 'phi-3.5-mini'],
  [/smollm3/, 'smollm3-3b'],
  [/smollm2.*1\.7b/, 'smollm2-1.7b'],
  [/smollm2.*360m/, 'smollm2-360m'],
  [/smollm2.*135m/, 'smollm2-135m'],
  [/granite-?4\.1.*30b/, 'granite-4.1-30b'],
  [/granite-?4\.1.*8b/, 'granite-4.1-8b'],
  [/granite-?4\.1.*3b/, 'granite-4.1-3b'],
  [/granite-?4.*tiny/, 'granite-4.0-tiny'],
  [/granite-?4.*small/, 'granite-4.0-small'],
  [/granite-?3.*2b/, 'granite-3.3-2b'],
  [/granite-?3.*8b/, 'granite-3.1-8b'],
  [/internlm2.*20b/, 'internlm2.5-20b'],
  [/internlm3/, 'internlm3-8b'],
  [/falcon3.*7b/, 'falcon3-7b'],
  [/exaone.*7\.8b/, 'exaone-3.5-7.8b'],
  [/aya.*8b/, 'aya-expanse-8b'],
  [/command-?r.*35b|command-?r$/, 'command-r-35b'],
  [/yi-?1\.5.*34b|yi-34b/, 'yi-1.5-34b'],
  [/yi-?1\.5.*9b/, 'yi-1.5-9b'],
  [/apertus.*8b/, 'apertus-8b'],
  [/olmo-?2.*13b/, 'olmo-2-13b'],
  [/olmo-?2.*7b/, 'olmo-2-7b'],
  [/olmoe/, 'olmoe-1b-7b'],
  [/bielik.*11b/, 'bielik-11b'],
  [/rnj-?1/, 'rnj-1-8b'],
  [/bloom/, 'bloom-176b'],
  [/lfm2.*24b/, 'lfm2-24b-a2b'],
  [/lfm2.*8b|8b-a1b|^lfm2-?latest/, 'lfm2-8b-a1b'],
  [/lfm2.*2\.6b/, 'lfm2-2.6b'],
  [/lfm2.*1\.[25]b/, 'lfm2-1.2b'],
  [/lfm2.*350m/, 'lfm2-350m'],
  [/lfm2.*230m/, 'lfm2-230m'],
  [/jamba.*mini/, 'jamba2-mini'],
  [/jamba.*3b/, 'jamba2-3b'],
  [/nemotron.*super|nemotron.*120b/, 'nemotron-3-super-120b-a12b'],
  [/nemotron.*nano.*4b/, 'nemotron-3-nano-4b'],
  [/nemotron.*nano.*9b/, 'nemotron-nano-9b-v2'],
  [/nemotron.*(omni|33b)/, 'nemotron-3-omni-30b-a3b'],
  [/nemotron.*30b/, 'nemotron-3-nano-30b-a3b'],
  [/ernie.*21b/, 'ernie-4.5-21b-a3b'],
  [/hunyuan.*a13b/, 'hunyuan-a13b'],
  [/dots\.?llm1/, 'dots.llm1'],
  [/mellum.*12b/, 'mellum2-12b-a2.5b'],
]

/**
 * What an otherwise unknown name of a given size most likely is: fine-tunes keep the shape of the popular base of
 * their size. Total, active (null for dense), id. Used only when the name gives a size and no family.
 */
const typicalOfSize: [number, number | null, string][] = [
  [0.5, null, 'qwen2.5-0.5b'],
  [0.6, null, 'qwen3-0.6b'],
  [0.8, null, 'qwen3.5-0.8b'],
  [1.2, null, 'llama-3.2-1b'],
  [1.7, null, 'qwen3-1.7b'],
  [3, null, 'llama-3.2-3b'],
  [4, null, 'qwen3-4b'],
  [7, null, 'qwen2.5-7b'],
  [8, null, 'qwen3-8b'],
  [9, null, 'qwen3.5-9b'],
  [12, null, 'gemma-4-12b'],
  [14, null, 'qwen3-14b'],
  [22, null, 'codestral-22b'],
  [24, null, 'mistral-small-3.2-24b'],
  [27, null, 'qwen3.5-27b'],
  [31, null, 'gemma-4-31b'],
  [32, null, 'qwen3-32b'],
  [35, null, 'qwen3.5-35b-a3b'],
  [70, null, 'llama-3.1-70b'],
  [72, null, 'qwen2.5-72b'],
  [123, null, 'mistral-large-2411'],
  [8, 1, 'lfm2-8b-a1b'],
  [26, 4, 'gemma-4-26b-a4b'],
  [30, 3, 'qwen3-30b-a3b'],
  [35, 3, 'qwen3.5-35b-a3b'],
  [80, 3, 'qwen3-next-80b-a3b'],
  [110, 12, 'glm-4.5-air'],
  [122, 10, 'qwen3.5-122b-a10b'],
  [235, 22, 'qwen3-235b-a22b'],
]

export interface ResolvedModel {
  spec: ModelSpec
  /** How the name became a model. */
  how: 'catalogue' | 'name' | 'size' | 'stated size'
}

const specs = new Map<string, ModelSpec>()
function specOf(fact: ModelFact): ModelSpec {
  const known = specs.get(fact.id)
  if (known) return known
  const spec = modelFromFact(fact)
  specs.set(fact.id, spec)
  return spec
}

const byPlainId = new Map(
  models.flatMap((model) => [
    [plainName(model.id), model] as const,
    [plainName(model.hf_repo), model] as const,
    [plainName(model.hf_repo.split('/').at(-1) as string), model] as const,
  ]),
)

/** A model of a stated size that is in no catalogue, by the usual proportions. */
export function modelOfSize(name: string, totalB: number, activeB: number | null): ModelSpec {
  const total = totalB * 1e9
  const active = Math.min(total, (activeB ?? totalB) * 1e9)
  const { layers, hidden } = typicalShape(total, active)
  const vocab = total < 2e9 ? 100_000 : 150_000
  const table = Math.min(vocab * hidden, total * 0.3)
  const tied = total < 5e9
  const kvHeads = 8
  return {
    id: name,
    name,
    paramsTotal: total,
    layers,
    hidden,
    vocab,
    heads: Math.max(8, 8 * Math.round(hidden / 1024)),
    kvHeads,
    lookupParams: tied ? 0 : table,
    headParams: table,
    kv: {
      fullBytesPerToken: 2 * layers * kvHeads * 128 * 2,
      windowBytesPerToken: 0,
      window: 0,
      stateBytes: 0,
      fullLayers: layers,
      windowLayers: 0,
      fullFlopsPerPair: 4 * layers * hidden,
      windowFlopsPerPair: 0,
      shards: kvHeads,
      kind: 'gqa',
    },
    moe: impliedMoe(total, active, layers, table),
    maxContext: null,
    nativeExpertBpw: null,
    source: 'usual proportions for the size',
    unverified: true,
    assumed: [`layers, width and attention of ${name} are the usual ones for its size`],
  }
}

const near = (a: number, b: number, share: number) => Math.abs(a - b) <= share * b

/**
 * The model a name means, or null when it tells neither family nor size.
 * @param statedTotalB parameters in billions when stated apart from the name; @param statedActiveB likewise, active
 */
export function resolveModel(
  name: string,
  statedTotalB: number | null = null,
  statedActiveB: number | null = null,
): ResolvedModel | null {
  const exact = modelById(name) ?? byPlainId.get(plainName(name))
  if (exact) return { spec: specOf(exact), how: 'catalogue' }
  const generic = /^(dense|moe):/i.test(name)
  const inName = sizeInName(name)
  const text = name.toLowerCase().replace(/[_: /]+/g, '-')
  const hit = generic ? undefined : patterns.find(([pattern]) => pattern.test(text))
  if (hit) {
    const fact = modelById(hit[1])
    const total = (fact?.params_total ?? 0) / 1e9
    const named = inName.totalB
    // A family's name on a model of another size ("Llama 3-45B") is another model. Names round: "gemma-2-2b" has 2.6.
    if (fact && (named === null || near(named, total, 0.35) || near(statedTotalB ?? named, total, 0.1)))
      return { spec: specOf(fact), how: 'name' }
  }
  const totalB = inName.totalB ?? statedTotalB
  if (totalB === null) return null
  const activeB =
    inName.activeB ?? (statedActiveB !== null && statedActiveB < totalB * 0.9 ? statedActiveB : null)
  const typical = generic
    ? undefined
    : typicalOfSize.find(
        ([total, active]) =>
          near(total, totalB, 0.04) &&
          (active === null ? activeB === null : activeB !== null && near(active, activeB, 0.2)),
      )
  const fact = typical ? modelById(typical[2]) : undefined
  if (fact) {
    const spec = specOf(fact)
    return {
      spec: {
        ...spec,
        assumed: [
          ...spec.assumed,
          `${name} is taken to have the shape of ${fact.id}, the usual base of its size`,
        ],
      },
      how: 'size',
    }
  }
  return { spec: modelOfSize(name, totalB, activeB), how: 'stated size' }
}
