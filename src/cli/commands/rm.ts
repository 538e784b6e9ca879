import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { openModelStore } from '../model-store.ts'
import type { Cli, Shell } from '../shell.ts'
import { untilSeen } from '../until-seen.ts'

export function registerRm(program: Command, shell: Shell): void {
  program
    .command('rm <model>')
    .description('Delete a pulled model from the disk; it is unloaded first.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, model: string) => {
        const { printer, config, env } = cli
        const store = openModelStore(config(), env)
        const { info } = await store.find(model)
        await unloadIfRunning(cli, info.id)
        const { freedBytes } = await store.remove(info.id)
        await untilSeen(cli, info.id, false)
        if (printer.json) printer.document({ model: info.id, freedBytes })
        else printer.line(`${info.id} is deleted; ${formatBytes(freedBytes)} are free again.`)
        return 0
      }),
    )
}

async function unloadIfRunning({ hub }: Cli, model: string): Promise<void> {
  try {
    await hub().post('/fleet/v1/models/unload', { model })
  } catch (error) {
    // No hub, or the hub does not know it, or has not loaded it: in each case nothing holds the file.
    const isFree = ['not_running', 'model_not_found', 'not_found']
    if (!(error instanceof HolonError) || !isFree.includes(error.code)) throw error
  }
}
