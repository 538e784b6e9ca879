import type { Command } from 'commander'
import { formatBytes } from '../../core/units.ts'
import type { NodeState } from '../../protocol/node.ts'
import type { Shell } from '../shell.ts'

export function registerNodes(program: Command, shell: Shell): void {
  program
    .command('nodes')
    .description('List the machines behind the hub, with what they hold.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const answer = await hub().get<{ nodes: NodeState[] }>('/fleet/v1/nodes')
        if (printer.json) {
          printer.document(answer)
          return 0
        }
        printer.table(
          ['node', 'state', 'machine', 'models', 'in memory', 'memory'],
          answer.nodes.map((node) => [
            node.name,
            node.state,
            node.profile?.chip ?? '–',
            String(node.models.length),
            node.running.map((model) => model.id).join(', ') || '–',
            `${formatBytes(node.memory.usedBytes)} of ${formatBytes(node.memory.budgetBytes)}`,
          ]),
        )
        return 0
      }),
    )
}
