import type { Command } from 'commander'
import { formatSeconds } from '../../core/units.ts'
import type { StatusResponse } from '../../protocol/fleet.ts'
import { queueLines } from '../queue-lines.ts'
import type { Shell } from '../shell.ts'

export function registerStatus(program: Command, shell: Shell): void {
  program
    .command('status')
    .description('Say whether Holon is running, where, and since when.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const client = hub()
        const status = await client.get<StatusResponse>('/fleet/v1/status')
        if (printer.json) {
          printer.document(status)
          return 0
        }
        const up = formatSeconds((Date.now() - status.startedAt) / 1000)
        printer.line(`Holon ${status.version} is up at ${status.url} (process ${status.pid}, for ${up}).`)
        const lines = await queueLines(client)
        if (lines !== null) {
          const sum = (of: 'inFlight' | 'waiting') => lines.reduce((total, line) => total + line[of], 0)
          printer.line(`${sum('inFlight')} being answered, ${sum('waiting')} waiting (holon ps).`)
        }
        if (status.advice) printer.line(status.advice)
        return 0
      }),
    )
}
