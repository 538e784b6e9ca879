import type { LinkSpec } from '../link-name.ts'
import { atPace } from '../pace.ts'
import { memberDecodeTerms, rootHeadTerms, tokenTerm } from './decode.ts'
import { chunkTokens, memberPrefillTerms } from './prefill.ts'
import { type Member, nominalBandwidth, type Setup } from './setup.ts'
import type { Term } from './terms.ts'

/**
 * Terms of a whole placement. A pipeline adds its stages up (one request gets no speed-up, only memory) and pays a
 * hop per boundary; a tensor split divides the bytes, keeps the per-layer cost and pays two all-reduces per layer.
 */

const UNIT_SYNC_S = 1e-3

/** Hidden state on the wire: llama.cpp sends 32-bit floats, the others 16-bit. */
const activationBytes = (setup: Setup): number =>
  setup.model.hidden * (setup.engine.family === 'llama.cpp' ? 4 : 2)

function linkKeys(setup: Setup): string[] {
  const { engine, link } = setup
  const keys = [`engine:${engine.family}`]
  if (engine.wrapper) keys.push(`wrapper:${engine.wrapper}`)
  if (link) keys.push(`transport:${link.transport}`, `transport:${link.transport}/${engine.family}`)
  return keys
}

/** Bytes of weights a member gets through in a second, to compare members by. */
const speedOf = (member: Member): number => nominalBandwidth(member) / (member.pace?.decode ?? 1)

/** Layers for each member of a pipeline, as shares: by bandwidth, which is what equalises stage times. */
export function defaultShares(members: readonly Member[]): number[] {
  const speeds = members.map(speedOf)
  const sum = speeds.reduce((a, b) => a + b, 0)
  return speeds.map((speed) => speed / sum)
}

/**
 * The members that work on a request. prima.cpp leaves out devices that only slow it down: the fewest fast ones
 * whose own memory holds the weights, all of them when none do.
 */
export function workingMembers(setup: Setup): readonly Member[] {
  if (setup.engine.family !== 'prima.cpp') return setup.members
  const fast = [...setup.members].sort((a, b) => nominalBandwidth(b) - nominalBandwidth(a))
  let room = 0
  for (let i = 0; i < fast.length; i++) {
    const { chip } = fast[i]!.hardware
    if (chip.tier !== 'discrete') break
    const stated = fast[i]!.memoryBytes
    room += (stated === null ? Math.max(...(chip.memory_options_gb ?? [0])) : stated / 1e9) * 2 ** 30 * 0.95
    if (room >= setup.weights.total) return fast.slice(0, i + 1)
  }
  return setup.members
}

function slowest(members: readonly Member[]): Member {
  return members.reduce((a, b) => (speedOf(b) < speedOf(a) ? b : a))
}

/** What a small message over macOS's TCP stack takes, one way (measured 190 to 475 us on a Thunderbolt bridge). */
const MAC_TCP_S = 190e-6

function messageLatency(setup: Setup): number {
  const { link } = setup
  if (!link) return 0
  const mac = setup.members.some((member) => member.hardware.chip.vendor === 'Apple')
  return link.transport === 'tcp' && mac ? Math.max(link.latencyS, MAC_TCP_S) : link.latencyS
}

/** Seconds of one all-reduce among equals: each round doubles whom it reached, and the bytes go round the ring. */
function ringAllReduce(setup: Setup, n: number, bytes: number): number {
  const link = setup.link as LinkSpec
  return messageLatency(setup) * Math.log2(n) + (2 * ((n - 1) / n) * bytes) / link.bytesPerS
}

/**
 * Seconds of one exchange of distributed-llama: there and back in parallel, but every byte passes the root's one port.
 * Its published transfer sizes (1112, 2830 and 6008 kB per token of a 7B on 2, 4 and 8 nodes) are three vectors of
 * 8.5 bits per further node and exchange.
 */
function rootedGather(setup: Setup, n: number): number {
  const link = setup.link as LinkSpec
  const vector = (setup.model.hidden * 8.5) / 8
  return 2 * messageLatency(setup) + (3 * (n - 1) * vector * setup.batch) / link.bytesPerS
}

/**
 * llama.cpp's workers do not speak to each other: the head sends each the hidden state and fetches it back. Since its RPC
 * is asynchronous that is one exchange per worker and token, with up to three vectors on the way (counted once between
 * the two: decision 0019). Builds before sent graphs and waited for every command; what that cost is fitted to published
 * figures.
 */
const isStar = (setup: Setup): boolean =>
  setup.engine.family === 'llama.cpp' && setup.strategy === 'pipeline' && setup.year === null
const VECTORS_PER_EXCHANGE = 3
/** Of the prompt two vectors per token cross a boundary: the residual and what is to be added to it. */
const VECTORS_PER_PROMPT_TOKEN = 2
/**
 * What one exchange takes beside the line: building and reading messages, waking up, and the wire's relays. The size of it
 * with llama.cpp v0.5.0 on two shared vCPUs: with it, predictions were 1.07 to 1.32 of what pools of two and three did
 * (`node dist/bench/links-bench.js --only predicted`). Other machines may be quicker.
 */
const EXCHANGE_S = 2.5e-3

function starDecodeTerm(setup: Setup, link: LinkSpec, workers: number): Term {
  const bytes = VECTORS_PER_EXCHANGE * activationBytes(setup) * setup.batch
  return {
    name: 'exchange',
    seconds: workers * (2 * messageLatency(setup) + bytes / link.bytesPerS + EXCHANGE_S),
    keys: [],
    counted: 'one exchange per worker and token: a round trip, three hidden states, and 2.5 ms of its ends',
  }
}

/** Between two workers the prompt passes the head; of the last worker only the last token comes back. */
function starPrefillTerm(setup: Setup, link: LinkSpec, workers: number): Term {
  const tokens = setup.promptTokens * setup.batch
  const chunks = tokens / chunkTokens(setup)
  const bytes = (2 * workers - 1) * VECTORS_PER_PROMPT_TOKEN * activationBytes(setup) * tokens
  return {
    name: 'prefill.exchange',
    seconds: workers * chunks * (2 * messageLatency(setup) + EXCHANGE_S) + bytes / link.bytesPerS,
    keys: [],
    counted: 'hidden states of the prompt to each worker and back, two per token and way',
  }
}

/** Messages of one decode step on the wire: hops of a pipeline or all-reduces of a tensor split. */
function decodeWireTerms(setup: Setup): Term[] {
  const n = workingMembers(setup).length
  const { link, model } = setup
  if (n < 2 || !link) return []
  if (isStar(setup)) return [starDecodeTerm(setup, link, n - 1)]
  const keys = linkKeys(setup)
  const bytes = activationBytes(setup) * setup.batch
  const sync: Term = {
    name: 'sync',
    seconds: (n - 1) * UNIT_SYNC_S,
    keys: [...keys, `strategy:${setup.strategy}`],
    counted: 'round trips of the engine per further member, in ms',
  }
  if (setup.strategy === 'tensor') {
    const each =
      setup.engine.family === 'distributed-llama' ? rootedGather(setup, n) : ringAllReduce(setup, n, bytes)
    return [
      { name: 'allreduce', seconds: 2 * model.layers * each, keys, counted: 'two all-reduces per layer' },
      sync,
    ]
  }
  const hop = messageLatency(setup) + bytes / link.bytesPerS
  return [{ name: 'hop', seconds: n * hop, keys, counted: 'one hop per boundary and the way back' }, sync]
}

function prefillWireTerms(setup: Setup): Term[] {
  const n = workingMembers(setup).length
  const { link, model } = setup
  if (n < 2 || !link) return []
  if (isStar(setup)) return [starPrefillTerm(setup, link, n - 1)]
  const keys = linkKeys(setup)
  const tokens = setup.promptTokens * setup.batch
  const chunks = tokens / chunkTokens(setup)
  const bytes = activationBytes(setup) * tokens
  if (setup.strategy === 'tensor') {
    const seconds =
      2 * model.layers * (chunks * messageLatency(setup) + (2 * ((n - 1) / n) * bytes) / link.bytesPerS)
    return [{ name: 'prefill.allreduce', seconds, keys, counted: 'two all-reduces per layer and chunk' }]
  }
  const seconds = (n - 1) * (chunks * messageLatency(setup) + bytes / link.bytesPerS)
  return [{ name: 'prefill.hop', seconds, keys, counted: 'activations of the prompt over each boundary' }]
}

/** Equal members are one with the sum of their shares: stage times add up, and a hundred need not be counted apart. */
function byHardware(
  members: readonly Member[],
  shares: readonly number[],
): { member: Member; share: number }[] {
  const found: { member: Member; share: number }[] = []
  members.forEach((member, i) => {
    const share = shares[i] ?? 0
    const before = found.find(
      (entry) =>
        entry.member.hardware === member.hardware &&
        entry.member.memoryBytes === member.memoryBytes &&
        entry.member.pace === member.pace,
    )
    if (before) before.share += share
    else found.push({ member, share })
  })
  return found
}

/** Adds terms of the same name and keys, so that equal members stay one term. */
function merged(terms: Term[]): Term[] {
  if (new Set(terms.map((term) => term.name)).size === terms.length) return terms
  const found = new Map<string, Term>()
  for (const term of terms) {
    const key = `${term.name}|${term.keys.join('|')}`
    const before = found.get(key)
    found.set(key, before ? { ...before, seconds: before.seconds + term.seconds } : term)
  }
  return [...found.values()]
}

/** Terms of one decode step (all sequences of the batch advance by one token). @param shares layers per member, summing to 1 */
export function decodeTerms(setup: Setup, shares?: readonly number[]): Term[] {
  const members = workingMembers(setup)
  const head = members[0] as Member
  if (setup.strategy === 'tensor' && members.length > 1) {
    const worst = slowest(members)
    return [
      ...memberDecodeTerms(setup, worst, 1, members.length),
      ...rootHeadTerms(setup, head, members.length),
      ...atPace([tokenTerm(setup, head)], head.pace?.decode),
      ...decodeWireTerms(setup),
    ]
  }
  const stages = byHardware(members, shares ?? defaultShares(members)).flatMap(({ member, share }) =>
    memberDecodeTerms(setup, member, share, 1),
  )
  const token = atPace([tokenTerm(setup, head)], head.pace?.decode)
  return [...merged(stages), ...token, ...decodeWireTerms(setup)]
}

/** Terms of the prefill of the whole prompt. */
export function prefillTerms(setup: Setup, shares?: readonly number[]): Term[] {
  const members = workingMembers(setup)
  if (setup.strategy === 'tensor' && members.length > 1) {
    return [...memberPrefillTerms(setup, slowest(members), 1, members.length), ...prefillWireTerms(setup)]
  }
  const stages = byHardware(members, shares ?? defaultShares(members)).flatMap(({ member, share }) =>
    memberPrefillTerms(setup, member, share, 1),
  )
  return [...merged(stages), ...prefillWireTerms(setup)]
}

/** Bytes on the wire per token at 16 bits: one hop of a pipeline, and all the all-reduces of a tensor split together. */
export function oneLayerMessage(model: Setup['model']): { hopBytes: number; tensorBytes: number } {
  const hopBytes = model.hidden * 2
  return { hopBytes, tensorBytes: 2 * model.layers * hopBytes }
}
