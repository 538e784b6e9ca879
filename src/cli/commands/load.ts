import type { Command } from 'commander'
import type { LoadResponse } from '../../protocol/fleet.ts'
import type { NodeModel, RunningModel } from '../../protocol/model.ts'
import type { HubClient } from '../hub-client.ts'
import type { Progress } from '../printer.ts'
import { type Shell, wholeNumber } from '../shell.ts'

interface LoadOptions {
  context?: number
  parallel?: number
  engine?: string
  keep?: boolean
  json?: boolean
}

export function registerLoad(program: Command, shell: Shell): void {
  program
    .command('load <model>')
    .description('Load a model into memory, and wait until it can answer.')
    .option('--context <tokens>', 'context per answer, in tokens', wholeNumber('--context', 64, 16_777_216))
    .option('--parallel <n>', 'answers at once', wholeNumber('--parallel', 1, 256))
    .option('--engine <id>', 'engine to load it with (`holon engines` lists them)')
    .option('--keep', 'keep it in memory, also after a restart, until `holon unload`')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, model: string, options: LoadOptions) => {
        const body = {
          model,
          contextTokens: options.context,
          parallel: options.parallel,
          engine: options.engine,
          keep: options.keep,
        }
        const hub = cli.hub()
        const progress = cli.printer.progress(`Loading ${model}`)
        const stopWatching = watchLoading(hub, model, progress)
        let id: string
        try {
          ;({ model: id } = await hub.post<LoadResponse>('/fleet/v1/models/load', body))
        } finally {
          stopWatching()
          progress.stop()
        }
        const running = await hub.get<{ models: RunningModel[] }>('/fleet/v1/ps')
        const loaded = running.models.find((candidate) => candidate.id === id)
        if (cli.printer.json) cli.printer.document({ model: loaded ?? null })
        else
          cli.printer.line(
            `${model} is ready${loaded ? ` on ${loaded.engine}, context ${loaded.contextTokens} tokens` : ''}${options.keep ? ', and stays in memory until `holon unload`' : ''}.`,
          )
        return 0
      }),
    )
}

/** Shows how far a load is until told to stop. A missed look is no failure: the load itself reports. */
export function watchLoading(hub: HubClient, model: string, progress: Progress): () => void {
  const look = async () => {
    const { models } = await hub.get<{ models: NodeModel[] }>('/fleet/v1/models')
    const loading = models.find((candidate) => candidate.id === model)?.progress
    if (loading) progress.update(loading.percent === null ? null : loading.percent / 100, loading.phase)
  }
  const timer = setInterval(() => look().catch(() => undefined), 300)
  return () => clearInterval(timer)
}
