import type { Command } from 'commander'
import type { UnloadResponse } from '../../protocol/fleet.ts'
import type { Shell } from '../shell.ts'

export function registerUnload(program: Command, shell: Shell): void {
  program
    .command('unload <model>')
    .description('Take a model out of memory, once it has finished what it is answering; keep it no longer.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, model: string) => {
        const { wasInMemory } = await hub().post<UnloadResponse>('/fleet/v1/models/unload', { model })
        if (printer.json) printer.document({ model, unloaded: true })
        else if (wasInMemory === false)
          printer.line(`${model} was not in memory now, and is kept there no longer.`)
        else printer.line(`${model} is no longer in memory.`)
        return 0
      }),
    )
}
