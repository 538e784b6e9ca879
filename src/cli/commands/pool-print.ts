/** A pool as its owner reads it on the terminal: who answers, and if not the pool itself, why and what comes next. */
import { formatBytes, formatSeconds } from '../../core/units.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolView } from '../../protocol/pools.ts'
import type { Printer } from '../printer.ts'

export const phaseWords: Record<PoolView['phase'], string> = {
  resting: 'waiting',
  checking: 'looking at the members',
  opening: 'opening the wire between the members',
  starting: 'starting the members',
  ready: 'serving',
  draining: 'letting answers end',
  stopping: 'ending the last group',
}

const answers = ({ service }: PoolView): boolean => service === 'group' || service === 'solo'

export function printPool(printer: Printer, pool: PoolView, nowMs: number): void {
  const { good, bad, strong } = printer
  printer.line(`${strong(pool.name)} ${(answers(pool) ? good : bad)(standing(pool))}`)
  const doing = underWay(pool)
  if (doing !== null) printer.line(`  It is being formed: ${doing}.`)
  if (pool.reason !== null) printer.line(`  ${pool.reason}`)
  if (pool.nextTryMs !== null) printer.line(`  Next try ${inTime(pool.nextTryMs, nowMs)}.`)
  printer.line()
  printMembers(printer, pool, nowMs)
  printer.line()
  printer.line(`pooled  ${speedText(pool.pooled)}`)
  if (pool.solo.node !== null) printer.line(`solo    ${speedText(pool.solo)} on ${pool.solo.node}`)
  if (answers(pool)) printer.line(pool.choice)
}

export function printPools(printer: Printer, pools: readonly PoolView[]): void {
  printer.table(
    ['pool', 'model', 'answers', 'members', 'engine', 'tok/s'],
    pools.map((pool) => [
      pool.name,
      pool.model,
      serviceWords(pool),
      pool.members
        .map(({ node, state }) => (state === 'in' ? node : `${node} (${stateWords[state]})`))
        .join(', '),
      pool.engine,
      speedOf(pool.service === 'solo' ? pool.solo : pool.pooled),
    ]),
  )
  for (const { name, reason } of pools) if (reason !== null) printer.note(`${name}: ${reason}`)
}

/** `serves wide with llama-rpc, pooled on oak and elm`; a cluster is no machine of ours, and is reached by one. */
function standing(pool: PoolView): string {
  const { model, engine, fallback, servedBy, service, members } = pool
  if (service === 'solo') return `serves ${model} on ${servedBy} alone`
  if (service === 'fallback')
    return `does not serve ${model} now: its fallback ${fallback} answers, on ${servedBy}`
  if (service === 'none')
    return pool.phase === 'resting' ? `is down: nobody serves ${model}` : `does not serve ${model} yet`
  const names = members.filter(({ state }) => state === 'in').map(({ node }) => node)
  if (clusterEngineIds.has(engine)) return `serves ${model} with ${engine}, reached by ${inWords(names)}`
  return `serves ${model} with ${engine}, pooled on ${inWords(names)}`
}

const inWords = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

/** What is done to get a group; null when nothing is. */
function underWay({ phase, progress }: PoolView): string | null {
  if (phase === 'ready' || phase === 'resting' || phase === 'draining') return null
  if (progress === null) return phaseWords[phase]
  return progress.percent === null ? progress.phase : `${progress.phase}, ${Math.round(progress.percent)} %`
}

function serviceWords(pool: PoolView): string {
  if (pool.service === 'group') return 'pooled'
  if (pool.service === 'solo') return `${pool.servedBy} alone`
  if (pool.service === 'fallback') return `fallback ${pool.fallback} on ${pool.servedBy}`
  return pool.phase === 'resting' ? 'nobody' : `nobody yet: ${underWay(pool) ?? phaseWords[pool.phase]}`
}

const stateWords: Record<PoolView['members'][number]['state'], string> = {
  in: 'in',
  here: 'ready',
  away: 'away',
  settling: 'settling',
  unfit: 'unfit',
  'left-out': 'left out',
}

function printMembers(printer: Printer, { members }: PoolView, nowMs: number): void {
  const inGroup = members.some(({ rank }) => rank !== null)
  const heads = [
    'member',
    'state',
    ...(inGroup ? ['part', 'layers', 'planned', 'in memory', 'wire'] : []),
    '',
  ]
  printer.table(
    heads,
    [...members]
      .sort((a, b) => (a.rank ?? members.length) - (b.rank ?? members.length))
      .map((member) => [
        member.node,
        stateWords[member.state],
        ...(inGroup ? partOf(member) : []),
        [member.why, member.untilMs === null ? null : `It counts again ${inTime(member.untilMs, nowMs)}.`]
          .filter((text) => text !== null)
          .join(' '),
      ]),
  )
}

const partOf = ({ rank, layers, plannedBytes, memoryBytes, wire }: PoolView['members'][number]): string[] => [
  rank === null ? '–' : rank === 0 ? 'head' : `worker ${rank}`,
  layers === null ? '–' : String(layers),
  bytesOf(plannedBytes),
  bytesOf(memoryBytes),
  wire ?? '–',
]

const bytesOf = (bytes: number | null): string => (bytes === null ? '–' : formatBytes(bytes))

/** A time to come, as people count: `in 12 s`. */
function inTime(atMs: number, nowMs: number): string {
  const seconds = Math.ceil((atMs - nowMs) / 1000)
  if (seconds <= 0) return 'now'
  return seconds < 60 ? `in ${seconds} s` : `in ${formatSeconds(seconds)}`
}

/** `~` is what the planner expects where nothing was measured. */
const speedOf = ({ measuredTokS, predictedTokS }: PoolView['pooled']): string =>
  measuredTokS !== null ? speed(measuredTokS) : predictedTokS !== null ? `~${speed(predictedTokS)}` : '–'

function speedText({ measuredTokS, predictedTokS }: PoolView['pooled']): string {
  if (measuredTokS === null && predictedTokS === null) return 'how fast is not known before it has answered'
  const expected = predictedTokS === null ? 'nothing expected yet' : `${speed(predictedTokS)} tok/s expected`
  return measuredTokS === null
    ? `${expected}, not measured yet`
    : `${speed(measuredTokS)} tok/s measured, ${expected}`
}

const speed = (tokS: number): string => tokS.toFixed(tokS >= 10 ? 0 : 1)
