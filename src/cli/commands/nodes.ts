import type { Command } from 'commander'
import { formatBytes } from '../../core/units.ts'
import type { NodeState } from '../../protocol/node.ts'
import { type Shell, wholeNumber } from '../shell.ts'
import { formatWhen } from '../when.ts'

export function registerNodes(program: Command, shell: Shell): void {
  const nodes = program
    .command('nodes')
    .enablePositionalOptions()
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
          ['node', 'state', 'round trip', 'machine', 'models', 'in memory', 'memory'],
          answer.nodes.map((node) => [
            node.name,
            node.link?.phase ?? node.state,
            node.link?.rttMs == null ? '–' : `${node.link.rttMs.toFixed(1)} ms`,
            node.profile?.chip ?? '–',
            String(node.models.length),
            node.running.map((model) => model.id).join(', ') || '–',
            `${formatBytes(node.memory.usedBytes)} of ${formatBytes(node.memory.budgetBytes)}`,
          ]),
        )
        for (const { name, link } of answer.nodes) if (link?.reason) printer.note(`${name}: ${link.reason}`)
        return 0
      }),
    )
  registerToken(nodes, shell)
  registerChange(nodes, shell, 'revoke', 'Send a node away for good; its tunnel ends at once.', 'was revoked')
  registerChange(nodes, shell, 'rotate', 'Give a connected node a new credential.', 'has a new credential')
  registerAudit(nodes, shell)
}

function registerToken(nodes: Command, shell: Shell): void {
  nodes
    .command('token')
    .description('Make a token that admits one machine, once.')
    .option(
      '--minutes <n>',
      'how long it may wait to be used (default 60)',
      wholeNumber('--minutes', 1, 7 * 1440),
    )
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, { minutes }: { minutes?: number }) => {
        const ttlS = minutes === undefined ? undefined : minutes * 60
        const client = hub()
        const made = await client.post<{ token: string; expiresAt: string }>('/fleet/v1/nodes/token', {
          ttlS,
        })
        if (printer.json) {
          printer.document(made)
          return 0
        }
        printer.line(made.token)
        printer.note(
          `\nIt admits one machine, once, until ${formatWhen(made.expiresAt)}. On that machine:\n\n  holon join ${client.url} --token ${made.token}\n`,
        )
        if (/\/\/(127\.|localhost|\[::1\])/.test(client.url)) {
          printer.note('Put the address at which that machine reaches this one in place of 127.0.0.1.')
        }
        return 0
      }),
    )
}

function registerChange(nodes: Command, shell: Shell, verb: string, what: string, done: string): void {
  nodes
    .command(`${verb} <node>`)
    .description(what)
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, node: string) => {
        const answer = await hub().post<{ id: string; name: string }>(`/fleet/v1/nodes/${verb}`, { node })
        if (printer.json) printer.document(answer)
        else printer.line(`${answer.name} ${done}.`)
        return 0
      }),
    )
}

interface AuditEntry {
  timeMs: number
  action: string
  node: string | null
  actor: string
  detail: string
}

function registerAudit(nodes: Command, shell: Shell): void {
  nodes
    .command('audit')
    .description('Say who admitted, refused and revoked whom, newest first.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const answer = await hub().get<{ entries: AuditEntry[] }>('/fleet/v1/nodes/audit')
        if (printer.json) {
          printer.document(answer)
          return 0
        }
        if (answer.entries.length === 0) {
          printer.line('No machine has been admitted, refused or revoked yet.')
          return 0
        }
        printer.table(
          ['time', 'what', 'node', 'by', ''],
          answer.entries.map(({ timeMs, action, node, actor, detail }) => [
            formatWhen(timeMs),
            action,
            node ?? '–',
            actor,
            detail,
          ]),
        )
        return 0
      }),
    )
}
