import type { Command } from 'commander'
import { formatBytes } from '../../core/units.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { Shell } from '../shell.ts'

export function registerModels(program: Command, shell: Shell): void {
  program
    .command('models')
    .description('List the models that can be asked for, and whether they are in memory.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const answer = await hub().get<{ models: NodeModel[] }>('/fleet/v1/models')
        if (printer.json) {
          printer.document(answer)
          return 0
        }
        printer.table(
          ['model', 'state', 'quant', 'size', 'context', 'parameters', 'from'],
          answer.models.map((model) => [
            model.id,
            model.problem ? 'broken' : model.state,
            model.quant ?? '–',
            // An attached engine does not always say.
            model.sizeBytes === 0 ? '–' : formatBytes(model.sizeBytes),
            model.contextMax === null ? '–' : String(model.contextMax),
            model.paramsTotal === null ? '–' : formatParams(model.paramsTotal),
            model.demo ? 'demonstration, ships with Holon' : model.source,
          ]),
        )
        for (const model of answer.models) {
          const trouble = model.problem ?? model.failure
          if (trouble) printer.warn(`${model.id}: ${trouble}`)
        }
        return 0
      }),
    )
}

function formatParams(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} B` : `${(count / 1e6).toFixed(1)} M`
}
