import type { Command } from 'commander'
import type { Shell } from '../shell.ts'

export function registerUnload(program: Command, shell: Shell): void {
  program
    .command('unload <model>')
    .description('Take a model out of memory, once it has finished what it is answering.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, model: string) => {
        await hub().post('/fleet/v1/models/unload', { model })
        if (printer.json) printer.document({ model, unloaded: true })
        else printer.line(`${model} is no longer in memory.`)
        return 0
      }),
    )
}
