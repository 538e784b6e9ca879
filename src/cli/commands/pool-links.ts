import type { Command } from 'commander'
import { formatBytes } from '../../core/units.ts'
import type { LinkView } from '../../protocol/pools.ts'
import type { Shell } from '../shell.ts'
import { namesOf } from './pool-names.ts'

/** `holon pool links`: the ways between machines, and what is wrong with them. */
export function registerPoolLinks(pool: Command, shell: Shell): void {
  pool
    .command('links')
    .description('List the ways between machines: kind, throughput, latency, and what is wrong with them.')
    .option('--measure', 'measure them now (seconds per pair)')
    .option('--nodes <a,b>', 'only these machines, with --measure')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, flags: { measure?: boolean; nodes?: string }) => {
        const nodes = flags.nodes === undefined ? undefined : namesOf(flags.nodes)
        const answer = flags.measure
          ? await hub().post<{ links: LinkView[] }>('/fleet/v1/links/measure', { nodes })
          : await hub().get<{ links: LinkView[] }>('/fleet/v1/links')
        if (printer.json) {
          printer.document(answer)
          return 0
        }
        if (answer.links.length === 0) {
          printer.line(
            'No way between two machines is known yet: `holon pool links --measure` looks for them.',
          )
          return 0
        }
        printer.table(
          ['from', 'to', 'kind', 'by', 'throughput', 'round trip', 'jitter', 'RDMA'],
          answer.links.map(({ from, to, kind, interface: own, probe, rdma, failure }) => [
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
        for (const { from, to, rdma, failure, warnings } of answer.links) {
          if (failure) said.add(`${from} to ${to}: ${failure}`)
          for (const warning of warnings) said.add(warning)
          if (rdma !== null && rdma !== 'ready' && from < to)
            said.add(`No RDMA between ${from} and ${to}: ${rdma}.`)
        }
        for (const text of said) printer.warn(text)
        return 0
      }),
    )
}
