import type { Command } from 'commander'
import type { PullProgress } from '../../agent/models/pull-model.ts'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import { openModelStore } from '../model-store.ts'
import type { Progress } from '../printer.ts'
import type { Shell } from '../shell.ts'
import { untilSeen } from '../until-seen.ts'

export function registerPull(program: Command, shell: Shell): void {
  program
    .command('pull <source>')
    .description(
      'Get a model: OWNER/REPO[:QUANT], an https address, or a GGUF file. Goes on where it was cut.',
    )
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, source: string) => {
        const { printer, config, env } = cli
        const store = openModelStore(config(), env)
        const stop = new AbortController()
        process.once('SIGINT', () => stop.abort())
        const progress = printer.progress(`Pulling ${source}`)
        try {
          const result = await store.pull(source, {
            signal: stop.signal,
            onProgress: (now) => show(now, progress),
          })
          progress.stop()
          await untilSeen(cli, result.id, true)
          if (printer.json) {
            printer.document(result)
            return 0
          }
          if (result.because) printer.line(result.because)
          const size = formatBytes(result.sizeBytes)
          printer.line(
            `${printer.strong(result.id)} ${result.alreadyHere ? 'was already here' : 'is here'} (${size}, ${result.path}).`,
          )
          printer.line(`Talk to it with \`holon run ${result.id}\`.`)
          return 0
        } catch (error) {
          progress.stop()
          if (!stop.signal.aborted) throw error
          printer.note('Stopped. The same command goes on where it was.')
          return 1
        }
      }),
    )
}

function show(now: PullProgress, progress: Progress): void {
  const file = now.fileCount > 1 ? `file ${now.fileNumber} of ${now.fileCount}` : ''
  const bytes = `${formatBytes(now.bytes)}${now.totalBytes === null ? '' : ` of ${formatBytes(now.totalBytes)}`}`
  const rate = now.bytesPerSecond === null ? '' : `${formatBytes(Math.round(now.bytesPerSecond))}/s`
  const left = now.etaS === null ? '' : `${formatSeconds(now.etaS)} left`
  const fraction = now.totalBytes ? now.bytes / now.totalBytes : null
  progress.update(fraction, [file, bytes, rate, left, now.note].filter(Boolean).join(', '))
}
