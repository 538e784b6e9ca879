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
        else print(printer, preview)
        return preview.recommended === null && !printer.json ? 1 : 0
      }),
    )
}

const speed = (value: number): string => value.toFixed(value >= 10 ? 0 : 1)
/** One line for all that lose for the same reason. */
function byReason(others: readonly PreviewPlacement[]): string[] {
  const named = new Map<string, string[]>()
  for (const one of others) {
    const split = one.fits && one.strategy !== 'solo' ? ` (${one.strategy})` : ''
    const key = `${one.engine}${split}: ${one.losesBecause}`
    named.set(key, [...(named.get(key) ?? []), names(one)])
  }
  return [...named].map(([key, all]) => {
    const more = all.length > 2 ? ` and ${all.length - 2} more` : ''
    return `${all.slice(0, 2).join('; ')}${more}, ${key}`
  })
}

/** A cluster goes by the node that reaches it. */
const names = ({ engine, head, members }: PreviewPlacement): string =>
  clusterEngineIds.has(engine) ? head : members.map(({ node }) => node).join(' + ')

function print(printer: Printer, { model, placements, recommended, unknowns }: PoolPreview): void {
  const best = placements.find(({ id }) => id === recommended)
  printer.line(
    best
      ? `${printer.good('Yes')}: ${model} on ${names(best)}${best.engine === 'solo' ? ' alone' : ` with ${best.engine}`}, ${expected(best)}.`
      : `${printer.bad('No')}: ${model} cannot be placed on these machines.`,
  )
  printer.line()
  printer.table(
    ['placement', 'engine', 'split', 'fits', 'tok/s', 'first token', 'loads in', 'link', 'basis'],
    placements.map((one) => [
      one.head !== '' && one.engine !== 'solo' ? names(one) : `${names(one)} alone`,
      one.engine,
      one.fits ? splitOf(one) : '–',
      one.fits ? 'yes' : 'no',
      one.fits ? range(one) : '–',
      one.fits && one.ttftS.expected > 0 ? formatSeconds(one.ttftS.expected) : '–',
      one.fits ? loads(one) : '–',
      one.link?.name ?? '–',
      one.fits ? one.basis : '–',
    ]),
  )
  if (best) printBest(printer, best)
  const others = placements.filter((one) => one !== best && one.losesBecause !== null)
  if (others.length > 0) printer.line('\nWhy not the others:')
  const reasons = byReason(others)
  for (const line of reasons.slice(0, 16)) printer.line(`- ${line}`)
  if (reasons.length > 16) printer.line(`- and ${reasons.length - 16} more (--json shows all)`)
  for (const unknown of unknowns) printer.note(`not known: ${unknown}`)
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
