import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseModelName } from './parse-model-name.ts'

/** Names that look alike and are other weights. */
const apart: [string, string][] = [
  ['Qwen/Qwen2.5-7B', 'Qwen/Qwen2.5-7B-Instruct'],
  ['Qwen/Qwen2.5-7B-Instruct', 'Qwen/Qwen2.5-Coder-7B-Instruct'],
  ['Qwen/Qwen2.5-7B-Instruct', 'Qwen/Qwen2.5-VL-7B-Instruct'],
  ['Qwen/Qwen2.5-7B-Instruct', 'Qwen/Qwen2.5-7B-Instruct-1M'],
  ['Qwen/Qwen2.5-7B-Instruct', 'Qwen/Qwen2-7B-Instruct'],
  ['Qwen/Qwen2.5-7B-Instruct', 'Qwen/Qwen2.5-72B-Instruct'],
  ['Qwen/Qwen2.5-Coder-7B-Instruct', 'bartowski/Qwen2.5.1-Coder-7B-Instruct-GGUF'],
  ['mistralai/Mistral-7B-Instruct-v0.2', 'mistralai/Mistral-7B-Instruct-v0.3'],
  ['mistralai/Mistral-7B-Instruct-v0.2', 'mistral:7b'],
  ['mistralai/Mistral-7B-v0.3', 'mistralai/Mistral-7B-Instruct-v0.3'],
  ['llama3.1:8b', 'llama3.1:70b'],
  ['llama3:8b', 'llama3.1:8b'],
  ['llama3.1:8b', 'meta-llama/Llama-3.1-8B'],
  ['llama3.1:8b', 'llama3.1:8b-text-q4_K_M'],
  ['deepseek-ai/DeepSeek-R1', 'deepseek-ai/DeepSeek-R1-Distill-Llama-70B'],
  ['deepseek-ai/DeepSeek-R1', 'deepseek-ai/DeepSeek-R1-0528'],
  ['deepseek-ai/DeepSeek-R1-Distill-Qwen-7B', 'Qwen/Qwen2.5-7B-Instruct'],
  ['deepseek-ai/DeepSeek-R1-Distill-Llama-8B', 'deepseek-ai/DeepSeek-R1-0528-Qwen3-8B'],
  ['deepseek-r1:8b', 'deepseek-ai/DeepSeek-R1-Distill-Llama-8B'],
  ['meta-llama/Llama-3.1-8B-Instruct', 'mlabonne/Meta-Llama-3.1-8B-Instruct-abliterated'],
  ['mlabonne/Meta-Llama-3.1-8B-Instruct-abliterated', 'huihui-ai/Meta-Llama-3.1-8B-Instruct-abliterated'],
  ['Llama-3.1-8B-Instruct-Q4_K_M.gguf', 'Llama-3.1-8B-Instruct-uncensored-Q4_K_M.gguf'],
  ['Llama-3.1-8B-Instruct-Q4_K_M.gguf', 'my-Llama-3.1-8B-Instruct-Q4_K_M.gguf'],
  ['meta-llama/Llama-3.1-8B-Instruct', 'NousResearch/Hermes-3-Llama-3.1-8B'],
  ['meta-llama/Llama-3.1-8B-Instruct', 'somebody/Llama-3.1-8B-Instruct'],
  ['nvidia/Llama-3.1-Nemotron-70B-Instruct-HF', 'meta-llama/Llama-3.1-70B-Instruct'],
  ['google/gemma-3-12b-it', 'google/gemma-3-12b-pt'],
  ['google/gemma-3-12b-it', 'google/gemma-3-12b-it-qat-q4_0-gguf'],
  ['google/gemma-3-4b-it', 'google/gemma-3n-E4B-it'],
  ['google/gemma-3-4b-it', 'google/medgemma-4b-it'],
  ['google/gemma-2-9b-it', 'google/gemma-2-9b'],
  ['Qwen/Qwen3-30B-A3B', 'Qwen/Qwen3-30B-A3B-Instruct-2507'],
  ['Qwen/Qwen3-30B-A3B-Thinking-2507', 'Qwen/Qwen3-30B-A3B-Instruct-2507'],
  ['qwen3:30b', 'Qwen/Qwen3-30B-A3B'],
  ['Qwen/Qwen3-8B', 'Qwen/Qwen3-8B-Base'],
  ['Qwen/Qwen3-8B', 'unsloth/Qwen3-8B-128K-GGUF'],
  ['Qwen/Qwen3-0.6B', 'Qwen/Qwen3-Embedding-0.6B'],
  ['Qwen/Qwen3-Embedding-0.6B', 'Qwen/Qwen3-Reranker-0.6B'],
  ['microsoft/phi-4', 'microsoft/Phi-4-reasoning'],
  ['microsoft/Phi-4-reasoning', 'microsoft/Phi-4-reasoning-plus'],
  ['microsoft/phi-4', 'microsoft/Phi-4-mini-instruct'],
  ['microsoft/Phi-3-mini-4k-instruct', 'microsoft/Phi-3-mini-128k-instruct'],
  ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'],
  ['openai/gpt-oss-20b', 'openai/gpt-oss-safeguard-20b'],
  ['gpt-oss:120b', 'gpt-oss:120b-cloud'],
  ['zai-org/GLM-4.5', 'zai-org/GLM-4.5-Air'],
  ['HuggingFaceH4/zephyr-7b-alpha', 'HuggingFaceH4/zephyr-7b-beta'],
  ['codellama:7b', 'codellama:7b-code'],
  ['TheBloke/Llama-2-7B-GGUF', 'TheBloke/Llama-2-7B-Chat-GGUF'],
  ['mistralai/Mixtral-8x7B-Instruct-v0.1', 'mistralai/Mistral-7B-Instruct-v0.1'],
  ['me/llama3.1:8b', 'llama3.1:8b'],
  ['mymodel:latest', 'mymodel.gguf'],
]

describe('names of models', () => {
  test.each(apart)('%s is not %s', (one, other) => {
    expect(parseModelName(one).canonical).not.toBe(parseModelName(other).canonical)
  })

  test('stand in the words that a caller can write anywhere without quoting', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 700 }), (text) => {
        expect(parseModelName(text).canonical).toMatch(/^[a-z0-9.+_:/~-]*$/)
      }),
    )
  })

  const parts = fc.constantFrom(
    ...'qwen2.5 Qwen 2.5 llama 3 3.1 Meta mistral gemma-3 gemma phi 4 deepseek r1 distill 7b 8B 30b a3b e4b 8x7b 14b'.split(
      ' ',
    ),
    ...'it pt base instruct chat vision coder vl v0.3 2407 q4_K_M Q8_0 4bit fp16 awq gguf mlx latest i1 uncensored'.split(
      ' ',
    ),
    ...': / _ . - @ ~ ~1b bartowski/ somebody/ hf.co/ library/ .gguf text \\ C:\\ ./ ~/ models--a--b'.split(
      ' ',
    ),
  )
  const mixture = fc
    .array(fc.tuple(parts, fc.constantFrom('-', '_', ' ', '.', ':', '/', '')), { maxLength: 9 })
    .map((pairs) => pairs.flat().join(''))

  test('never make parsing throw, and mean the same when read back', () => {
    fc.assert(
      fc.property(fc.oneof(mixture, fc.string(), fc.string({ unit: 'binary' })), (text) => {
        const { canonical } = parseModelName(text)
        expect(parseModelName(canonical).canonical).toBe(canonical)
      }),
      { numRuns: 5000 },
    )
  })

  test('do not change with the quant that is added to them', () => {
    for (const quant of [
      'Q4_K_M',
      'IQ3_XXS',
      'UD-Q4_K_XL',
      'Q8_0',
      'bf16',
      'MXFP4',
      '4bit',
      'AWQ',
      'GPTQ-Int4',
      'FP8',
    ]) {
      for (const name of [
        'Qwen2.5-7B-Instruct',
        'gpt-oss-20b',
        'Mistral-7B-Instruct-v0.3',
        'Unheard-Of-9B',
      ]) {
        const plain = parseModelName(name)
        const quantised = parseModelName(`${name}-${quant}`)
        expect(quantised.canonical).toBe(plain.canonical)
        expect(quantised.quant).not.toBeNull()
      }
    }
  })
})
