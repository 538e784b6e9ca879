import {
  compare,
  findModel,
  findQuant,
  longestContext,
  oneLayerMessage,
  parseLink,
  parseMachines,
  readRequest,
  weightBytes,
} from '../../planner/index.ts'
import { type Claim, gigabytes, pipeline, solo, tensor, tokS } from './claim.ts'
import { messageText } from './speed-and-memory.ts'

const seventy = { model: 'llama-3.3-70b', quant: 'Q4_K_M' }
const gain = (a: number, b: number) => `${((a / b - 1) * 100).toFixed(0)} %`

/** Claims 15 to 22: pools and links. */
export function poolClaims(): Claim[] {
  const m4 = '2x m4-max-40c:64gb'
  const one = solo('m4-max-40c:64gb', seventy)
  const hop = (link: string) => pipeline('2x m4-pro-20c:24gb', { model: 'qwen3-32b', link })
  const over = (link: string) => tensor(m4, { ...seventy, link })
  const { hopBytes } = oneLayerMessage(findModel('llama-3.3-70b'))
  const tenG = parseLink('eth-10g')!
  const deepseek = solo('m3-ultra-80c:512gb', { model: 'deepseek-v3.1' })
  const pooled = tensor('4x m3-ultra-80c:512gb', { model: 'deepseek-v3.1', link: 'tb5-rdma' })
  const v4 = weightBytes(findModel('deepseek-v4-flash'), findQuant('MXFP4'), null).total
  const two = pipeline('2x m4-max-40c:128gb', {
    model: 'deepseek-v4-flash',
    quant: 'MXFP4',
    link: 'tb5-rdma',
    context: 32_768,
  })
  const m3 = pipeline('4x m4-max-40c:128gb', {
    model: 'minimax-m3',
    quant: 'Q4_K_M',
    link: 'tb5-rdma',
    context: 1_048_576,
  })
  const reach = (machines: string) =>
    longestContext(
      readRequest({ ...seventy, contextTokens: 4096, link: 'tb5-rdma' }),
      parseMachines(machines),
    )
  const many = pipeline('2x m4-max-40c:64gb', { ...seventy, link: 'tb5-rdma', parallel: 8 })
  const manySolo = solo('m4-max-40c:64gb', { ...seventy, parallel: 8 })
  return [
    {
      number: 15,
      claim:
        'Activation traffic of a 70B is 4.4 MB per token per hop; so 10 GbE caps at about 200 tok/s, TB4 at 1,000',
      verdict: 'wrong',
      right: `${messageText()}; a hop on 10 GbE takes ${((tenG.latencyS + hopBytes / tenG.bytesPerS) * 1e3).toFixed(2)} ms, so bandwidth caps far above any decode speed and latency is what counts`,
      basis: 'one hidden vector of 8,192 numbers crosses a boundary; the cache stays where its layers are',
    },
    {
      number: 16,
      claim: 'One hop on 10 GbE costs more than 10 tok/s; even TB5 cannot beat 17 tok/s',
      verdict: 'wrong',
      right: `Qwen3 32B over two M4 Pro: 10 GbE ${tokS(hop('eth-10g'))}, TB5 TCP ${tokS(hop('tb5-tcp'))}, TB5 RDMA ${tokS(hop('tb5-rdma'))}; tensor over TB5 RDMA passes 17: 70B on two M4 Max ${tokS(over('tb5-rdma'))}`,
      basis: 'hop and round trips by engine and transport, fitted on pooled rows',
    },
    {
      number: 17,
      claim: 'exo over gigabit Ethernet: 5 to 10 tok/s against 10 to 15 on one node',
      verdict: 'holds in part',
      right: `a pipeline never beats the one machine that holds the model: 70B on one M4 Max ${tokS(one)}; over gigabit tensor ${tokS(over('eth-1g'))}`,
      basis: 'early exo builds were slower still (published runs of 0.1 to 13 tok/s)',
    },
    {
      number: 18,
      claim: 'RDMA over TB5 makes about 25 tok/s of about 5 on a big mixture-of-experts',
      verdict: 'holds in part',
      right: `DeepSeek V3.1: one M3 Ultra ${tokS(deepseek)}, four over TB5 RDMA ${tokS(pooled)}. The speed with RDMA is right; the 5 before is a broken or swapping setup, not the link`,
      basis: 'published 1, 2 and 4 node runs: 21, 28 and 33 tok/s',
    },
    {
      number: 19,
      claim: 'TB5: 80 Gb/s (120 burst), 10 to 15 GB/s; latency under 5 microseconds with RDMA',
      verdict: 'holds in part',
      right:
        '80 Gb/s is right; 6 to 9 GB/s reach an application; 4.2 us is the raw verb, 25 to 31 us what MLX sees per message',
      basis: 'link facts, measured by others',
    },
    {
      number: 20,
      claim:
        '2 Macs (256 GB) hold DeepSeek V4-Flash Q4 (about 110 GB); 3 to 4 hold MiniMax M3 with 1M context; 6 hold V4-Pro at low quant',
      byRule: true,
      verdict: two.fits ? 'holds in part' : 'wrong',
      right: `V4-Flash at 4 bits is ${gigabytes(v4)}, not 110 GB, and two 128 GB Macs ${two.fits ? `hold it: ${tokS(two)}` : 'do not hold it'}; MiniMax M3 Q4_K_M with 1M tokens on 4 x 128 GB: ${tokS(m3)}`,
      basis: 'weights and cache from the published shapes; several are unverified',
    },
    {
      number: 21,
      claim: 'The context window of a pool grows with its memory',
      verdict: 'holds in part',
      right: `for grouped-query attention yes: 70B Q4_K_M holds ${reach('m4-max-40c:64gb')} tokens on one 64 GB M4 Max and ${reach('2x m4-max-40c:64gb')} on two. With a tensor split and latent attention (DeepSeek, GLM-5) no: the cache is copied to every member`,
      basis:
        'KV cache by layer for a pipeline, by KV head for a tensor split; the trained window stays what it is',
    },
    {
      number: 22,
      claim: 'A pool of equal machines gives more throughput than one (many requests) or not (one)',
      verdict: 'holds',
      right: `one request: pipeline no gain, tensor ${gain(over('tb5-rdma').decodeTokS.expected, one.decodeTokS.expected)} on two; eight at once: pipeline ${tokS(many)} together against ${tokS(manySolo)} on one. Two separate copies give twice one machine whenever the model fits each`,
      basis: 'stage times add up for one request and overlap for many',
    },
  ]
}

/** Claims 23 to 31: rules and cost. */
export function ruleClaims(): Claim[] {
  const m4pair = tensor('2x m4-max-40c:64gb', { ...seventy, link: 'tb5-rdma' })
  const m4one = solo('m4-max-40c:64gb', seventy)
  const slow = tensor('2x m4-max-40c:64gb', { ...seventy, link: 'wifi6' })
  const first = solo('m3-ultra-80c:256gb', { ...seventy, prompt: 2048 })
  const accepted = (rate: number, k: number, cost: number) =>
    (1 - rate ** (k + 1)) / (1 - rate) / (1 + k * cost)
  const bought = compare(
    readRequest({ model: 'llama-3.3-70b', quant: 'Q4_K_M' }),
    parseMachines('m5-ultra-80c:256gb')[0]!,
    parseMachines('4x m5-max-40c:128gb'),
    [parseLink('tb5-rdma')],
  )
  const [single, pool] = bought.options
  return [
    {
      number: 23,
      claim:
        'If the model is at most 0.8 of local memory, run it solo; otherwise shard and accept 2 to 4 times the latency',
      verdict: 'holds in part',
      right: `solo first is right, but the limit is usable memory less cache and buffers, and sharding costs less: two M4 Max over TB5 RDMA give ${tokS(m4pair)} against ${tokS(m4one)} solo, over Wi-Fi ${tokS(slow)}`,
      basis: 'placements of the planner',
    },
    {
      number: 24,
      claim: 'Use the pool only while its speed is at least 0.6 of solo',
      verdict: 'holds',
      right: 'kept as the routing rule where solo fits; where it does not, there is nothing to compare with',
      basis: 'a rule, not a measurement',
    },
    {
      number: 25,
      claim: 'Below about 8 tok/s interactive use suffers; aim for 15; first token under 300 ms',
      verdict: 'holds in part',
      right: `people read 5 to 8 tok/s, so 8 and 15 are sound; 300 ms holds only for short or cached prompts: 2,048 new tokens on a 70B take ${first.ttftS.expected.toFixed(1)} s on an M3 Ultra`,
      basis: 'prefill speed of the planner',
    },
    {
      number: 26,
      claim:
        'Operational intensity <= 10 FLOP/byte bandwidth-bound, >= 30 compute-bound; Q4 about 8, FP16 about 40',
      verdict: 'wrong',
      right:
        'at batch 1 every weight is used once: 2 operations per weight are 3.6 FLOP/byte at 4.5 bits and 1 at 16 bits, so FP16 is lower, not higher. The turn comes at the machine balance, TFLOPS over bandwidth: about 30 on an M4 Max, 150 on an RTX 3090',
      basis: 'arithmetic',
    },
    {
      number: 27,
      claim: 'Once the network is 20 % of the budget, adding nodes defeats itself',
      verdict: 'holds in part',
      right:
        'for tensor splits of one request the unsharded cost per layer stops the gain before the network does; for pipelines more nodes never speed up one request at any share',
      basis: 'terms of the placements (`holon plan --explain`)',
    },
    {
      number: 28,
      claim: 'Pool if the penalty is under 20 % and much larger models become possible; stay solo over 50 %',
      verdict: 'holds',
      right: 'these are the criteria `holon compare` applies and states',
      basis: 'a rule, not a measurement',
    },
    {
      number: 29,
      claim: 'Speculative decoding with a 7B draft doubles effective speed at 30 % acceptance',
      verdict: 'wrong',
      right: `at 30 % acceptance and 4 drafted tokens a step gives ${((1 - 0.3 ** 5) / 0.7).toFixed(2)} tokens; with a draft at a tenth of the cost that is ${accepted(0.3, 4, 0.1).toFixed(2)} x, a loss or nothing. Doubling wants about 80 % (${accepted(0.8, 4, 0.1).toFixed(2)} x)`,
      basis: '(1 - a^(k+1)) / (1 - a) over 1 + k x cost',
    },
    {
      number: 30,
      claim: 'Memory bandwidth matters more than total memory',
      verdict: 'holds in part',
      right:
        'for speed yes, once the model fits: decode follows bandwidth within about 30 %. For what can run at all it is memory, and for long prompts arithmetic',
      basis: 'fitted terms: weights are 60 to 90 % of a dense step',
    },
    {
      number: 31,
      claim:
        'Single M5 Max 256 GB about $9,000; 4 x 128 GB about $10,000 to 12,000; cables $200, switch $500, rack $1,000',
      verdict: 'not decidable here',
      right: `prices are inputs. With these: ${single?.name} $${single?.costUsd} at ${single?.speeds[0]?.decodeTokS} tok/s, ${pool?.name} $${pool?.costUsd} at ${pool?.speeds[0]?.decodeTokS} tok/s on a 70B. No M5 Max with 256 GB is in the facts; the Ultra stands in`,
      basis: 'dated defaults in the facts; give your own with --price',
    },
  ]
}
