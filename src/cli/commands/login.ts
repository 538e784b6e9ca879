import type { Command } from 'commander'
import { readIdentity } from '../../agent/join/identity.ts'
import { enrol } from '../enrol.ts'
import type { Shell } from '../shell.ts'
import { stopSignal } from '../stop-signal.ts'

export function registerLogin(program: Command, shell: Shell): void {
  program
    .command('login')
    .description(
      'Have this machine approved by the owner of a hub, without serving yet (`holon join` serves).',
    )
    .argument('[hub]', 'address of the hub; without it the one it knows, else one found on the local network')
    .option('--name <name>', 'what to call this machine (default: its host name)')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, hub: string | undefined, options: { name?: string }) => {
        const config = cli.config()
        const stopping = stopSignal()
        try {
          const identity = await enrol({
            cli,
            home: config.home,
            hub: hub ?? config.hub,
            known: readIdentity(config.home),
            token: undefined,
            name: options.name,
            signal: stopping.signal,
          })
          const { hub: url, nodeId, name } = identity
          if (cli.printer.json) cli.printer.document({ hub: url, nodeId, name })
          else cli.printer.line(`This machine is ${name} at ${url}. Serve it with \`holon join\`.`)
        } finally {
          stopping.dispose()
        }
        return 0
      }),
    )
}
