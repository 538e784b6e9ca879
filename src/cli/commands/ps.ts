import type { Command } from 'commander'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import type { QueueResponse } from '../../protocol/keys.ts'
import type { RunningModel } from '../../protocol/model.ts'
import { queueLines } from '../queue-lines.ts'
import type { Shell } from '../shell.ts'

const orDash = (value: number | null, show: (value: number) => string) => (value === null ? '–' : show(value))

export function registerPs(program: Command, shell: Shell): void {
  program
    .command('ps')
    .description('List the models in memory: engine, memory, speed, and how long they have been idle.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const client = hub()
        const answer = await client.get<{ models: RunningModel[] }>('/fleet/v1/ps')
        const lines = await queueLines(client)
        if (printer.json) {
          printer.document({ ...answer, queue: lines })
          return 0
        }
        if (answer.models.length === 0) {
          printer.line(
            'No model is in memory. One loads when it is first asked for, or with `holon load MODEL`.',
          )
          return 0
        }
        printer.table(
          [
            'model',
            'state',
            'engine',
            'memory',
            'context',
            'parallel',
            'decode tok/s',
            'prefill tok/s',
            'idle',
          ],
          answer.models.map((model) => [
            model.id,
            model.progress
              ? `${model.progress.phase} ${orDash(model.progress.percent, (p) => `${Math.round(p)} %`)}`
              : model.state,
            model.engine,
            orDash(model.memoryBytes, formatBytes),
            orDash(model.contextTokens, String),
            orDash(model.parallel, String),
            orDash(model.decodeTokS, (speed) => speed.toFixed(1)),
            orDash(model.prefillTokS, (speed) => speed.toFixed(0)),
            `${model.active > 0 ? `answering ${model.active}` : formatSeconds(Math.round(model.idleS))}${model.kept ? ', kept' : ''}`,
          ]),
        )
        for (const line of lines ?? []) if (line.waiting > 0) printer.line(inWords(line))
        return 0
      }),
    )
}

function inWords({ node, model, waiting, inFlight, etaS, parts }: QueueResponse['lines'][number]): string {
  const who = parts.filter((part) => part.waiting > 0).map((part) => `${part.waiting} of ${part.caller}`)
  const eta = etaS === null ? '' : `; one more would wait about ${formatSeconds(etaS)}`
  return `${waiting} waiting for ${model} on ${node} (${who.join(', ')}), ${inFlight} being answered${eta}.`
}
