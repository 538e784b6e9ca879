/** The command line of a pool's head, but for the port and the key, which are chosen at its start. */
import { HolonError } from '../../core/errors.ts'
import { commandLine } from '../../engines/llama-server/launch.ts'
import { allottedThreads } from '../../engines/shared/allotted-threads.ts'
import type { ModelShape } from '../../engines/shared/model-shape.ts'
import { deviceArguments, type HeadSettings } from './layout.ts'

export interface HeadCommand {
  settings: HeadSettings
  modelId: string
  modelPath: string
  shape: Pick<ModelShape, 'layers' | 'pooling'>
  /** Options that this llama-server knows. */
  flags: ReadonlySet<string>
  /** The workers as reached from the head, in the order of their layers. */
  endpoints: readonly string[]
}

/** @throws HolonError pool_impossible for an adapter that llama.cpp cannot be told of */
export function headCommand(order: HeadCommand): string[] {
  const { settings, modelId, modelPath, shape, flags, endpoints } = order
  const { contextTokens, parallel } = settings
  const args = commandLine(flags, {
    ...{ modelId, modelPath, parallel, threads: settings.threads ?? allottedThreads(), embedding: false },
    ...{ contextTokens, pooling: shape.pooling },
  })
  args.push(...deviceArguments(settings, shape.layers, endpoints))
  // Its own search for a fit would undo the plan.
  if (!args.includes('--fit') && flags.has('--fit')) args.push('--fit', 'off')
  // Its prompt cache, 8 GiB of this machine's memory by itself, would fetch the KV of far layers over the wire.
  if (flags.has('--cache-ram')) args.push('--cache-ram', '0')
  for (const { path, scale } of settings.lora) {
    if (path.includes(',')) {
      throw new HolonError(
        'pool_impossible',
        `The adapter's path ${path} holds a comma, which llama.cpp cannot read.`,
      )
    }
    args.push(...(scale === 1 ? ['--lora', path] : ['--lora-scaled', `${path}:${scale}`]))
  }
  return args
}
