import {
  contextSweep,
  findModel,
  findQuant,
  largestModel,
  oneLayerMessage,
  parseLink,
  parseMachines,
  readRequest,
} from '../../planner/index.ts'
import { pipeline, solo, tensor, tokS } from './claim.ts'

/** docs/concepts/pooling.md: the eight questions about pools, answered from the same figures as every plan. */

const big = { model: 'llama-3.3-70b', quant: 'Q4_K_M' }
const moe = { model: 'qwen3-235b-a22b', quant: '4bit' }
const pair = '2x m3-ultra-80c:256gb'
const links = ['tb5-rdma', 'tb5-tcp', 'eth-10g', 'eth-1g', 'wifi6']

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

function linkTable(): string {
  return table(
    ['link', '70B, pipeline', '70B, tensor', '235B-A22B, pipeline', '235B-A22B, tensor'],
    links.map((link) => [
      parseLink(link)?.name ?? link,
      tokS(pipeline(pair.replaceAll('256', '96').replace('80c', '60c'), { ...big, quant: 'Q8_0', link })),
      tokS(tensor(pair, { ...big, link })),
      tokS(pipeline('2x m4-max-40c:128gb', { ...moe, link })),
      tokS(tensor(pair, { ...moe, link })),
    ]),
  )
}

function sizeTable(): string {
  const groups = [
    'm4-max-40c:128gb',
    '2x m4-max-40c:128gb',
    '4x m4-max-40c:128gb',
    'm3-ultra-80c:512gb',
    '4x m3-ultra-80c:512gb',
  ]
  return table(
    ['machines', 'largest dense at 4 bits', 'at 8 bits', 'at 16 bits'],
    groups.map((group) => [
      group,
      ...['Q4_K_M', 'Q8_0', 'F16'].map(
        (quant) => `${largestModel(parseMachines(group), findQuant(quant), 8192).toFixed(0)} B`,
      ),
    ]),
  )
}

function contextTable(): string {
  const request = readRequest({ ...big, link: 'tb5-rdma', contextTokens: 4096 })
  const one = contextSweep(request, parseMachines('m4-max-40c:64gb'))
  const four = contextSweep(request, parseMachines('4x m4-max-40c:64gb'))
  const cell = (step: (typeof one)[number]) =>
    step.fits
      ? `${step.decodeTokS?.toFixed(1)} tok/s, first token ${step.ttftS?.toFixed(0)} s`
      : 'does not fit'
  return table(
    ['context, filled', 'KV cache', 'one M4 Max 64 GB', 'four over TB5 RDMA'],
    one.map((step, i) => [
      String(step.contextTokens),
      `${(step.kvBytes / 1e9).toFixed(1)} GB`,
      cell(step),
      cell(four[i]!),
    ]),
  )
}

function throughputTable(): string {
  return table(
    ['requests at once', 'one M4 Max 128 GB', 'two, pipeline over TB5 RDMA', 'two, tensor over TB5 RDMA'],
    [1, 4, 16].map((parallel) => [
      String(parallel),
      tokS(solo('m4-max-40c:128gb', { ...big, parallel })),
      tokS(pipeline('2x m4-max-40c:128gb', { ...big, parallel, link: 'tb5-rdma' })),
      tokS(tensor('2x m4-max-40c:128gb', { ...big, parallel, link: 'tb5-rdma' })),
    ]),
  )
}

export function poolingPage(): string {
  const { hopBytes, tensorBytes } = oneLayerMessage(findModel(big.model))
  const one = solo('m3-ultra-80c:512gb', { model: 'deepseek-v3.1' })
  return `# Does pooling really pool?

Made by \`npm run docs:claims\` from the planner; every figure can be had, with its inputs, from \`holon plan … --explain\`. Ranges hold 80 % of measurements the planner had not seen.

## 1. Does pooling really pool?
Memory yes, speed only sometimes. A **pipeline** gives each machine some layers: the memories add up, one request runs through them in turn, so its speed is that of one machine less the hops. A **tensor split** gives each machine a part of every layer: bytes are divided, but every layer waits for two exchanges. When the model fits one machine, a pipeline over more is never faster for one request, and the planner leaves the others out.

## 2. Which model sizes does it open?
${sizeTable()}

Mixtures of experts need all experts in memory and read few of them: they are what pools are best at. DeepSeek V3.1 at 4 bits on one 512 GB M3 Ultra: ${tokS(one)}; on four over TB5 RDMA: ${tokS(tensor('4x m3-ultra-80c:512gb', { model: 'deepseek-v3.1', link: 'tb5-rdma' }))}.

## 3. What does a link cost?
A pipeline sends ${(hopBytes / 1e3).toFixed(0)} kB per token and boundary for a 70B, a tensor split ${(tensorBytes / 1e6).toFixed(1)} MB in ${2 * findModel(big.model).layers} messages. So latency counts for tensor splits and bandwidth only for prompts.

${linkTable()}

(70B pipeline at 8 bits on two 96 GB M3 Ultra, tensor at 4 bits on two of 256 GB; 235B pipeline on two M4 Max of 128 GB.)

## 4. Does the engine stay efficient?
One request: pipelines lose a few milliseconds per further machine (llama.cpp RPC over TCP 2 to 9 ms; Wi-Fi tens of milliseconds, and its latency jumps). Tensor splits keep the fixed cost per layer, which for mixtures on MLX is 0.1 to 0.3 ms a layer and is not divided.

${throughputTable()}

## 5. Does context scale?
With the memory for grouped-query attention: the cache is cut by layer (pipeline) or by KV head (tensor). For latent attention (DeepSeek, GLM-5, Kimi) a tensor split copies the cache to each member. Speed falls with what is cached, on a pool as on one machine.

${contextTable()}

## 6. What fails?
A member's death ends the pooled model, whatever the split: its layers or its part of every layer are gone. Holon rebuilds the pool on what is left if the model still fits, else serves the declared fallback, else says so; it never hangs. RDMA over Thunderbolt is young: crashes and deadlocks are still reported, and Metal's watchdog can end very long prompts.

## 7. What does it cost?
\`holon compare\` fills the matrix with dated default prices or yours. Memory is usually cheaper in one large machine up to its largest size; beyond it a pool is the only way. Cables and a switch are small beside the machines.

## 8. What breaks by design?
- Heads, KV heads and width must divide by the machines of a tensor split: three rarely do.
- A tensor split wants equal machines; every layer waits for the slowest.
- Thunderbolt RDMA wants Thunderbolt 5, macOS 26.2 or later, and for more than two Macs a cable between each pair.
- llama.cpp RPC and MLX's wires have no authentication: they belong inside Holon's encrypted stream or on a cable of their own.
- Time to the first token does not improve with a pipeline for one short prompt; it does with a tensor split over a fast link.
`
}
