import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import type { LinkView } from '../../protocol/pools.ts'
import type { Printer } from '../printer.ts'
import type { Shell } from '../shell.ts'
import { namesOf } from './pool-names.ts'

/** `holon pool links`: the ways between machines, and what is wrong with them. */
export function registerPoolLinks(pool: Command, shell: Shell): void {
  pool
    .command('links')
    .description('List the ways between machines: kind, throughput, latency, and what is wrong with them.')
    .option('--measure', 'measure them now (seconds per pair)')
    .option('--nodes <a,b>', 'only the ways between these machines')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, flags: { measure?: boolean; nodes?: string }) => {
        const nodes = flags.nodes === undefined ? undefined : namesOf(flags.nodes)
        if (flags.measure && nodes?.length === 1)
          throw new HolonError('usage', 'A way leads from one machine to another: --nodes names only one.', {
            hint: 'Name two or more, or leave --nodes out to measure all ways.',
          })
        const answer = flags.measure
          ? await hub().post<{ links: LinkView[] }>('/fleet/v1/links/measure', { nodes })
          : await hub().get<{ links: LinkView[] }>('/fleet/v1/links')
        const links = shownLinks(answer.links, nodes)
        if (printer.json) printer.document({ links })
        else if (links.length === 0) printer.line(noWay(answer.links.length > 0, flags.measure === true))
        else printLinks(printer, links)
        return 0
      }),
    )
}

/** Between the machines that were named; of a single one, all its ways. */
export function shownLinks(links: readonly LinkView[], nodes: readonly string[] | undefined): LinkView[] {
  const wanted = ({ from, to }: LinkView): boolean => {
    if (nodes === undefined) return true
    const named = Number(nodes.includes(from)) + Number(nodes.includes(to))
    return named >= Math.min(2, nodes.length)
  }
  const key = ({ from, to }: LinkView): string => `${from} ${to}`
  return links.filter(wanted).sort((a, b) => key(a).localeCompare(key(b)))
}

function noWay(others: boolean, measured: boolean): string {
  if (others) return 'No way between those machines is known; without --nodes all are listed.'
  return measured
    ? 'There is no way to measure: it takes two machines that can pool and a network that joins them (`holon nodes`).'
    : 'No way between two machines is known yet: `holon pool links --measure` looks for them.'
}

function printLinks(printer: Printer, links: readonly LinkView[]): void {
  printer.table(
    ['from', 'to', 'kind', 'by', 'throughput', 'round trip', 'jitter', 'RDMA'],
    links.map(({ from, to, kind, interface: own, probe, rdma, failure }) => [
      from,
      to,
      kind,
      `${own.name} ${own.address}`,
      probe ? `${formatBytes(probe.throughputBytesS)}/s` : failure ? 'failed' : 'not measured',
      probe ? `${probe.rttMs.toFixed(2)} ms` : '–',
      probe ? `${probe.jitterMs.toFixed(2)} ms` : '–',
      rdma === 'ready' ? 'ready' : rdma === null ? '–' : 'no',
    ]),
  )
  const said = new Set<string>()
  for (const { from, to, rdma, failure, warnings } of links) {
    if (failure) said.add(`${from} to ${to}: ${failure}`)
    for (const warning of warnings) said.add(warning)
    if (rdma !== null && rdma !== 'ready' && from < to)
      said.add(`No RDMA between ${from} and ${to}: ${rdma}.`)
  }
  for (const text of said) printer.warn(text)
}
