import type { Command } from 'commander'
import type { Shell } from '../shell.ts'
import { version } from '../version.ts'

export function registerVersion(program: Command, shell: Shell): void {
  program
    .command('version')
    .description('Print the versions of Holon and Node.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer }) => {
        const versions = {
          holon: version,
          node: process.versions.node,
          platform: `${process.platform}-${process.arch}`,
        }
        if (printer.json) printer.document(versions)
        else printer.line(`holon ${version} (Node ${versions.node}, ${versions.platform})`)
        return 0
      }),
    )
}
