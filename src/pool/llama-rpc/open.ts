/** One member's part of a llama.cpp RPC pool: a worker that holds layers, or the head that reads the model and answers. */
import { HolonError } from '../../core/errors.ts'
import { readModelShape } from '../../engines/shared/model-shape.ts'
import type { OpenPart, PartSpec } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { openWire } from '../wire/wire.ts'
import { HeadPart } from './head.ts'
import { findLlamaRpc, type LlamaRpcBuild } from './inspect.ts'
import { headSettings, workerSettings } from './layout.ts'
import { WorkerPart } from './worker.ts'

/** @throws HolonError engine_unavailable, pool_impossible, pool_wire_failed, model_file_missing, model_file_invalid */
export async function openLlamaRpc(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart> {
  const found = await findLlamaRpc(host)
  if (typeof found === 'string') throw new HolonError('engine_unavailable', found)
  if (spec.rank === 0) return openHead(spec, host, found, signal)
  const settings = checked(workerSettings.safeParse(spec.settings))
  sameBuild(settings.build, found)
  signal.throwIfAborted()
  const wire = await openWire({ spec, log: host.log })
  return new WorkerPart({ spec, settings, host, build: found, wire })
}

async function openHead(
  spec: PartSpec,
  host: MemberHost,
  found: LlamaRpcBuild,
  signal: AbortSignal,
): Promise<OpenPart> {
  const settings = checked(headSettings.safeParse(spec.settings))
  sameBuild(settings.build, found)
  const model = host.findModel(spec.model)
  if (!model) {
    throw new HolonError(
      'model_file_missing',
      `${spec.model} is not on this machine, which is the pool's head.`,
    )
  }
  const shape = await readModelShape(model.path)
  if (shape.trainedContext !== null && settings.contextTokens > shape.trainedContext) {
    throw new HolonError(
      'pool_impossible',
      `A context of ${settings.contextTokens} tokens was asked for, but the model was trained for ${shape.trainedContext}.`,
      { hint: `Ask for at most ${shape.trainedContext}.` },
    )
  }
  signal.throwIfAborted()
  // It dials its workers; nobody dials it.
  const wire = await openWire({ spec: { ...spec, wire: { ...spec.wire, host: null } }, log: host.log })
  return new HeadPart({ spec, settings, host, build: found, wire, modelPath: model.path, shape })
}

function checked<T>(parsed: { success: true; data: T } | { success: false; error: Error }): T {
  if (parsed.success) return parsed.data
  throw new HolonError('pool_impossible', 'The settings of this part are not those of llama.cpp RPC.', {
    hint: 'Bring Holon to the same version on the hub and on this machine.',
    cause: parsed.error,
  })
}

function sameBuild(asked: string, { build }: LlamaRpcBuild): void {
  if (asked === build) return
  throw new HolonError('pool_impossible', `The pool runs ${asked}, and this machine has ${build}.`, {
    hint: 'Run `holon engines install llama.cpp` on both.',
  })
}
