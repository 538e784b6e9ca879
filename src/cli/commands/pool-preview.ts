import type { Command } from 'commander'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import { clusterEngineIds, poolEngineIds } from '../../protocol/pool.ts'
import type { PoolPreview, PreviewPlacement } from '../../protocol/pools.ts'
import type { Printer } from '../printer.ts'
import { type Shell, wholeNumber } from '../shell.ts'
import { engineOf, namesOf } from './pool-names.ts'

interface PreviewFlags {
  nodes?: string
  engine?: string
  context?: number
  parallel?: number
  fallback?: string
}

/** `holon pool preview`: every sensible placement, before anything is started. */
export function registerPoolPreview(pool: Command, shell: Shell): void {
  pool
    .command('preview')
    .description('Compare every sensible placement of a model on the machines. Starts nothing.')
    .argument('<model>', 'model, as callers name it')
    .option('--nodes <a,b>', 'machines, by name, separated by commas; all that are ready when left out')
    .option('--engine <id>', poolEngineIds.join(', '))
    .option('--context <tokens>', 'tokens of context to hold', wholeNumber('--context', 64, 16_777_216))
    .option('--parallel <n>', 'answers at once', wholeNumber('--parallel', 1, 256))
    .option('--fallback <model>', 'model that would answer while no placement can')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, model: string, flags: PreviewFlags) => {
        const preview = await hub().post<PoolPreview>('/fleet/v1/pools/preview', {
          model,
          nodes: flags.nodes === undefined ? undefined : namesOf(flags.nodes),
          engine: engineOf(flags.engine),
          contextTokens: flags.context,
          parallel: flags.parallel,
          fallback: flags.fallback,
        })
        if (printer.json) printer.document(preview)
        else printPreview(printer, preview)
        return preview.recommended === null && !printer.json ? 1 : 0
      }),
    )
}

const speed = (value: number): string => value.toFixed(value >= 10 ? 0 : 1)
/** A cluster goes by the node that reaches it. */
const names = ({ engine, head, members }: PreviewPlacement): string =>
  clusterEngineIds.has(engine) ? head : members.map(({ node }) => node).join(' + ')

export function printPreview(printer: Printer, preview: PoolPreview): void {
  const { model, placements, recommended, unknowns } = preview
  const best = placements.find(({ id }) => id === recommended)
  const fitting = placements.filter(({ fits }) => fits)
  printer.line(
    best
      ? `${printer.good('Yes')}: ${model} on ${names(best)}${best.engine === 'solo' ? ' alone' : ` with ${best.engine}`}, ${expected(best)}.`
      : `${printer.bad('No')}: ${model} cannot be placed on these machines.`,
  )
  if (fitting.length > 0) printFitting(printer, fitting)
  if (best) printBest(printer, best)
  printOthers(
    printer,
    placements.filter((one) => one !== best),
  )
  for (const unknown of unknowns) printer.note(`not known: ${unknown}`)
}

function printFitting(printer: Printer, fitting: readonly PreviewPlacement[]): void {
  printer.line()
  printer.table(
    ['placement', 'engine', 'split', 'tok/s', 'first token', 'loads in', 'link', 'basis'],
    fitting.map((one) => [
      names(one),
      one.engine,
      splitOf(one),
      range(one),
      one.ttftS.expected > 0 ? formatSeconds(one.ttftS.expected) : '–',
      loads(one),
      one.link?.name ?? '–',
      one.basis,
    ]),
  )
}

/** What several placements have against them is said once. */
function printOthers(printer: Printer, others: readonly PreviewPlacement[]): void {
  const byReason = new Map<string, PreviewPlacement[]>()
  for (const one of others) {
    const why = one.losesBecause ?? one.whyNot
    if (why !== null) byReason.set(why, [...(byReason.get(why) ?? []), one])
  }
  if (byReason.size === 0) return
  printer.line('\nWhy not:')
  for (const [why, those] of [...byReason].slice(0, mostReasons)) printer.line(`- ${inShort(those)}: ${why}`)
  if (byReason.size > mostReasons)
    printer.line(`- and ${byReason.size - mostReasons} reasons more (--json shows all)`)
}

const mostReasons = 12

/** Two splits by one engine lose for different reasons. */
const kindOf = (one: PreviewPlacement): string =>
  one.fits && one.strategy !== 'solo' ? `${one.engine}, ${one.strategy}` : one.engine

/** By name while they are few. */
function inShort(those: readonly PreviewPlacement[]): string {
  if (those.length <= 3) return those.map((one) => `${names(one)} (${kindOf(one)})`).join(', ')
  return `${those.length} placements (${[...new Set(those.map(kindOf))].join(', ')})`
}

function range({ basis, decodeTokS: { expected, low, high } }: PreviewPlacement): string {
  if (basis === 'unknown') return '–'
  return low === high ? speed(expected) : `${speed(expected)} (${speed(low)} to ${speed(high)})`
}

function expected(best: PreviewPlacement): string {
  const speed = best.basis === 'unknown' ? 'how fast is not known before it answers' : `${range(best)} tok/s`
  return best.engine === 'attached' ? speed : `${speed}, loaded in about ${loads(best)}`
}

const splitOf = ({ engine, strategy }: PreviewPlacement): string =>
  engine === 'attached' ? 'its own' : strategy

/** Such a server has it loaded, or loads it when it likes. */
const loads = ({ engine, loadS }: PreviewPlacement): string =>
  engine === 'attached' ? '–' : formatSeconds(loadS)

function printBest(printer: Printer, best: PreviewPlacement): void {
  printer.line(`\nMemory with ${best.contextTokens} tokens of context:`)
  printer.table(
    [
      clusterEngineIds.has(best.engine) ? 'machine' : 'member',
      'layers',
      'weights',
      'KV cache',
      'buffers',
      'together',
      'of',
    ],
    best.members.map(({ node, layers, memory }) => [
      node === best.head && !clusterEngineIds.has(best.engine) && best.members.length > 1
        ? `${node} (head)`
        : node,
      layers === 0 ? '–' : String(layers),
      ...(memory === null
        ? ['–', '–', '–', '–', '–']
        : [
            memory.weightsBytes,
            memory.kvBytes,
            memory.computeBytes,
            memory.totalBytes,
            memory.limitBytes,
          ].map(formatBytes)),
    ]),
  )
  printer.line('\nWhen a machine dies:')
  for (const { node, detail } of best.whenAMemberDies) printer.line(`- ${node}: ${detail}`)
  printer.line('\nBecause:')
  for (const reason of best.because) printer.line(`- ${reason}`)
  printer.line(
    best.engine === 'attached' ? `- ${best.loadHow}` : `- it loads in ${loads(best)}: ${best.loadHow}`,
  )
}
