import {
  copiesThatFit,
  findModel,
  findQuant,
  kvBytesStored,
  largestModel,
  mixOn,
  oneLayerMessage,
  weightBytes,
} from '../../planner/index.ts'
import { type Claim, gigabytes, judged, needs, oneMachine, solo, tokS } from './claim.ts'

const spans: [string, string, number, number][] = [
  ['qwen2.5-0.5b', 'Q4_K_M', 300, 400],
  ['qwen2.5-1.5b', 'Q4_K_M', 150, 200],
  ['llama-3.2-3b', 'Q4_K_M', 80, 120],
  ['qwen2.5-7b', 'Q4_K_M', 40, 60],
  ['llama-2-13b', 'Q4_K_M', 20, 30],
  ['qwen3-32b', 'Q4_K_M', 8, 15],
  ['llama-3.3-70b', 'Q2_K', 3, 6],
]
const m4 = 'm4-max-32c:36gb'

/** Claims 1 to 8: speed on one machine. */
export function speedClaims(): Claim[] {
  const singles = spans.map(([model, quant, from, to]) => ({
    model,
    from,
    to,
    placement: solo(m4, { model, quant }),
  }))
  const hold = singles.filter((one) => judged(one.placement, one.from, one.to) === 'holds').length
  const seventy = { model: 'llama-3.3-70b', quant: 'Q4_K_M' }
  const m3u = solo('m3-ultra-80c:256gb', seventy)
  const m2u = solo('m2-ultra-76c:192gb', seventy)
  const m3m = solo('m3-max-40c:64gb', seventy)
  const gemma = [
    solo('m2-ultra-76c:192gb', { model: 'gemma-3-27b' }),
    solo('m3-ultra-80c:256gb', { model: 'gemma-3-27b' }),
  ]
  const big = solo('m3-ultra-80c:256gb', { model: 'dense:110b', quant: 'Q3_K_M' })
  const mlx = solo('m4-max-40c:128gb', { model: 'qwen2.5-72b', quant: '4bit', engine: 'mlx' })
  const pair = ['qwen3-8b', 'qwen3-14b', 'qwen3-30b-a3b'].map((model) => ({
    model,
    mlx: solo('m4-pro-20c:48gb', { model, quant: '4bit', engine: 'mlx' }),
    llama: solo('m4-pro-20c:48gb', { model }),
  }))
  return [
    {
      number: 1,
      claim:
        'M4 Max 32 cores, 36 GB, Q4_K_M: 0.5B 300 to 400 tok/s, 1.5B 150 to 200, 3B 80 to 120, 7B 40 to 60, 13B 20 to 30, 30B 8 to 15; 70B Q2_K 3 to 6',
      byRule: true,
      verdict: hold === singles.length ? 'holds' : hold > 0 ? 'holds in part' : 'wrong',
      right: singles.map((one) => `${one.model} ${tokS(one.placement)}`).join('; '),
      basis: 'decode = bytes over bandwidth + unpacking + layers, fitted on M4 rows',
    },
    {
      number: 2,
      claim: 'Memory there: 0.5B 0.7 GB, 1.5B 1.5, 3B 2.5, 7B 5, 13B 9, 30B 20, 70B Q2_K 30',
      verdict: 'holds in part',
      right: `${singles.map((one) => `${one.model} ${needs(one.placement)}`).join('; ')} (weights, 4,096 tokens of cache, buffers)`,
      basis:
        'exact block sizes, KV cache by attention, scratch by engine; 13B is a Llama 2 with full multi-head attention',
    },
    {
      number: 3,
      claim: '70B Q4: M3 Ultra about 17 tok/s; M3 Max 64 GB 7 to 8; elsewhere 12 to 15 and 20 to 25',
      byRule: true,
      verdict: judged(m3u, 12, 15),
      right: `M3 Ultra ${tokS(m3u)}; M3 Max 64 GB ${tokS(m3m)}. 12 to 15 is right for the Ultra; 20 and more would need more than its bandwidth`,
      basis: `42.5 GB over 819 GB/s leaves at most ${(819 / 42.5).toFixed(1)} tok/s`,
    },
    {
      number: 4,
      claim: 'M3 Ultra gives the same tokens per second as M2 Ultra in interactive chat',
      byRule: true,
      verdict:
        Math.abs(m3u.decodeTokS.expected / m2u.decodeTokS.expected - 1) < 0.15 ? 'holds' : 'holds in part',
      right: `70B Q4_K_M: M3 Ultra ${tokS(m3u)}, M2 Ultra ${tokS(m2u)}; prefill ${m3u.prefillTokS.expected.toFixed(0)} against ${m2u.prefillTokS.expected.toFixed(0)} tok/s`,
      basis: 'bandwidth 819 against 800 GB/s; the gain is in the prompt and the memory size',
    },
    {
      number: 5,
      claim:
        'Gemma 3 27B Q4_K_M 26 to 30 tok/s on M2/M3 Ultra; <= 34B Q4_K 20 to 30, 40 to 70B 8 to 15, >= 110B Q3 dense under 5',
      byRule: true,
      verdict: judged(gemma[1]!, 26, 30),
      right: `Gemma 3 27B: M2 Ultra ${tokS(gemma[0]!)}, M3 Ultra ${tokS(gemma[1]!)}; 70B ${tokS(m3u)}; dense 110B Q3_K_M ${tokS(big)}, so not under 5`,
      basis: 'as above',
    },
    {
      number: 6,
      claim: 'MLX on one M4 Max 128 GB: Qwen2.5 72B 4-bit 10 to 15 tok/s, about 40 GB',
      byRule: true,
      verdict: judged(mlx, 10, 15),
      right: `${tokS(mlx)}, ${needs(mlx)}`,
      basis: '4.5 bits per weight with groups of 64',
    },
    {
      number: 7,
      claim: 'MLX is 15 to 25 % better than llama.cpp Metal in memory and speed',
      verdict: 'holds in part',
      right: `on an M4 Pro, 4 bits: ${pair.map((one) => `${one.model} ${(100 * (one.mlx.decodeTokS.expected / one.llama.decodeTokS.expected - 1)).toFixed(0)} % faster and ${needs(one.mlx)} against ${needs(one.llama)}`).join('; ')}. Part of it is the smaller format: 4.5 against 4.9 bits per weight`,
      basis: 'both engines measured on the same machine and models',
    },
    {
      number: 8,
      claim:
        'Copy micro-benches on M3 Ultra: 290 to 335 GB/s written, twice that on the bus, about 80 % of 819',
      verdict: 'holds',
      right:
        'a copy reads and writes every byte, so 290 to 335 GB/s of payload are 580 to 670 GB/s on the bus, 71 to 82 % of 819; decode reaches a like share',
      basis: 'arithmetic; no copy was measured here',
    },
  ]
}

/** Claims 9 to 14: memory. */
export function memoryClaims(): Claim[] {
  const ask = { model: 'llama-3.3-70b', quant: 'Q4_K_M' }
  const at8k = solo('m3-ultra-80c:256gb', { ...ask, context: 8192 })
  const at32k = solo('m3-ultra-80c:256gb', { ...ask, context: 32_768 })
  const seventy = findModel('llama-3.3-70b')
  const file = weightBytes(seventy, findQuant('Q4_K_M'), null).total
  const kv8k = kvBytesStored(seventy, 8192)
  const bpw = (name: string) => (findQuant(name).bpw / 8).toFixed(3)
  const full = solo('m3-ultra-80c:256gb', { model: 'dense:120b', quant: 'F16' })
  const four = (size: string) =>
    largestModel(
      Array.from({ length: 4 }, () => oneMachine(size)),
      findQuant('F16'),
      4096,
    )
  const m36 = oneMachine('m4-max-32c:36gb')
  const thirty = mixOn(m36, [{ model: 'qwen3-32b', quant: 'Q4_K_M' }])
  return [
    {
      number: 9,
      claim: 'Resident memory is about twice the file; 70B Q4_K_M needs about 140 GB at 8k context',
      verdict: 'wrong',
      right: `${needs(at8k)}: the file once (${gigabytes(file)}), ${gigabytes(kv8k)} of cache and about 1 GB of buffers`,
      basis: 'weights are mapped or wired once; 163 measured allocations agree within about 2 % (median)',
    },
    {
      number: 10,
      claim: 'ram_GB = 2 x disk_GB + (ctx/4096) x 14 GB; context 8k on a 70B adds 28 GB',
      verdict: 'wrong',
      right: `8k on Llama 3.3 70B adds ${gigabytes(kv8k)}; the cache spans 0.14 to 2 GiB per 4,096 tokens over today's attentions`,
      basis: '2 x layers x KV heads x head size x 2 bytes; 80 x 8 x 128 here',
    },
    {
      number: 11,
      claim: 'Bytes per parameter: Q4_0 0.88, Q4_1 0.96, Q4_K_S 0.57, Q4_K_M 0.61, Q5_0 1.3, Q8_0 1.9',
      verdict: 'holds in part',
      right: `Q4_0 ${bpw('Q4_0')}, Q4_1 ${bpw('Q4_1')}, Q4_K_S ${bpw('Q4_K_S')}, Q4_K_M ${bpw('Q4_K_M')}, Q5_0 ${bpw('Q5_0')}, Q8_0 ${bpw('Q8_0')} in the layers; only the K-quants were about right`,
      basis: 'block sizes that ggml asserts: 18 bytes for 32 weights is 0.5625',
    },
    {
      number: 12,
      claim: '70B Q4_K_M at 32k context stays under 220 GB',
      verdict: 'holds',
      right: `it needs ${needs(at32k)}, a quarter of that`,
      basis: 'as 9 and 10',
    },
    {
      number: 13,
      claim:
        '120B "unquantised" fits one 256 GB machine; 4 x 128 GB hold about 250B at 2 bytes per parameter, 4 x 192 GB about 300B',
      byRule: true,
      verdict: full.fits ? 'holds in part' : 'wrong',
      right: `120B at 16 bits ${full.fits ? `needs ${needs(full)}, too near the limit for comfort` : `does not fit: ${full.whyNot}`}; 4 x 128 GB hold about ${four('m4-max-40c:128gb').toFixed(0)}B, 4 x 192 GB about ${four('m2-ultra-76c:192gb').toFixed(0)}B`,
      basis: 'two bytes a weight and the usable share of memory, not all of it',
    },
    {
      number: 14,
      claim: '50 models of 0.5B, or 10 of 3B, or one of 30B fit 36 GB',
      byRule: true,
      verdict: thirty.fits ? 'holds in part' : 'wrong',
      right: `of 0.5B Q4_K_M ${copiesThatFit(m36, 'qwen2.5-0.5b', 'Q4_K_M')} fit with 4,096 tokens each, of 3B ${copiesThatFit(m36, 'llama-3.2-3b', 'Q4_K_M')}, of 32B ${copiesThatFit(m36, 'qwen3-32b', 'Q4_K_M')}`,
      basis: 'every model brings its own cache and buffers, which for small ones weigh more than the weights',
    },
  ]
}

export const messageText = (): string => {
  const { hopBytes, tensorBytes } = oneLayerMessage(findModel('llama-3.3-70b'))
  return `${(hopBytes / 1e3).toFixed(0)} kB per hop for a pipeline, ${(tensorBytes / 1e6).toFixed(1)} MB per token for a tensor split`
}
