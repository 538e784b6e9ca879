import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { readIdentity } from '../../agent/join/identity.ts'
import { serviceManager } from '../../agent/service/manage.ts'
import { serviceSpec } from '../../agent/service/service-spec.ts'
import { HolonError } from '../../core/errors.ts'
import type { Shell } from '../shell.ts'

interface InstallOptions {
  hub?: boolean
  user?: string
  print?: boolean
}

export function registerService(program: Command, shell: Shell): void {
  const service = program
    .command('service')
    .description('Keep Holon running: from boot on, nobody logged in.')
  service
    .command('install')
    .description('Install and start it: as a node of the fleet joined before, or with --hub as the hub.')
    .option('--hub', 'run `holon up` instead of `holon join`')
    .option('--user <name>', 'who it runs as (default: who called sudo)')
    .option('--print', 'print the service file and change nothing')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, env, config }, options: InstallOptions) => {
        const { home } = config()
        if (!options.hub && !options.print && readIdentity(home) === null) {
          throw new HolonError('usage', `The machine has joined no fleet yet, by ${home.root}.`, {
            hint: 'Run `holon login HUB` first; with sudo, name its folder: sudo HOLON_HOME=… holon service install.',
          })
        }
        const manager = serviceManager()
        const spec = serviceSpec({
          verb: options.hub ? 'up' : 'join',
          node: process.execPath,
          program: fileURLToPath(new URL('../main.js', import.meta.url)),
          user: options.user ?? env.SUDO_USER ?? userInfo().username,
          home: home.root,
          env,
        })
        if (options.print) {
          printer.line(manager.text(spec).trimEnd())
          if (printer.json) printer.document({ path: manager.path, text: manager.text(spec) })
          return 0
        }
        await manager.install(spec)
        if (printer.json) printer.document(await manager.status())
        else
          printer.line(
            `Installed ${manager.path}, running as ${spec.user}. \`holon service status\` tells more.`,
          )
        return 0
      }),
    )
  service
    .command('uninstall')
    .description('Stop it and remove it.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer }) => {
        const manager = serviceManager()
        const removed = await manager.uninstall()
        if (printer.json) printer.document({ removed, path: manager.path })
        else printer.line(removed ? `Removed ${manager.path}.` : 'There was no service.')
        return 0
      }),
    )
  service
    .command('status')
    .description('Say whether it is installed and running.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer }) => {
        const status = await serviceManager().status()
        if (printer.json) printer.document(status)
        else printer.line(status.installed ? `${status.path}: ${status.detail}` : 'No service is installed.')
        return status.running ? 0 : 1
      }),
    )
}
