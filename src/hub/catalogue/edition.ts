/**
 * One model as it is advertised: an id with all that tells which model it is. The same file on a hundred nodes is one
 * edition, so telling names apart is done once per edition and not once per node or request.
 */
import { identify, type ModelIdentity } from '../../planner/names/index.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle, NodeState } from '../../protocol/node.ts'

/** A node with its latest picture. The picture is a new object whenever anything about the node changed. */
export interface FleetNode {
  readonly handle: NodeHandle
  state: NodeState
  /** What it holds; none while it is gone. */
  placements: Placement[]
}

/** A model on a node. The same object for as long as the node advertises it. */
export interface Placement {
  readonly node: FleetNode
  readonly edition: Edition
  model: NodeModel
  /** Its place among the edition's holders. */
  at: number
}

export interface Edition {
  key: string
  id: string
  identity: ModelIdentity
  /** Orders editions of one model: the higher the better, below zero when the quant is not known. */
  quality: number
  /** File names, paths in a repository, repositories: in lower case. */
  aliases: readonly string[]
  /** Where it is now, in no order. */
  holders: Placement[]
}

const maxText = 1_000

/** Equal for models that are one edition. */
export function editionKey(model: NodeModel): string {
  const { id, path, source, quant, paramsTotal, architecture, weightsId, naming } = model
  const said = [
    id, path, source, quant, paramsTotal, architecture, weightsId, naming?.name, naming?.basename, naming?.sizeLabel,
    naming?.finetune, naming?.version, naming?.baseModels?.join('|'),
  ] // biome-ignore format: one key
  return said.map((part) => String(part ?? '').slice(0, maxText)).join('\u0000')
}

/** The same as comparing keys, without making them: nodes send their models anew with every change. */
export function isSameEdition(a: NodeModel, b: NodeModel): boolean {
  if (a === b) return true
  return (
    a.id === b.id &&
    a.path === b.path &&
    a.source === b.source &&
    a.quant === b.quant &&
    a.paramsTotal === b.paramsTotal &&
    a.architecture === b.architecture &&
    (a.weightsId ?? null) === (b.weightsId ?? null) &&
    isSameNaming(a.naming ?? null, b.naming ?? null)
  )
}

function isSameNaming(a: NonNullable<NodeModel['naming']> | null, b: typeof a): boolean {
  if (a === b) return true
  if (a === null || b === null) return false
  return (
    (a.name ?? '') === (b.name ?? '') &&
    (a.basename ?? '') === (b.basename ?? '') &&
    (a.sizeLabel ?? '') === (b.sizeLabel ?? '') &&
    (a.finetune ?? '') === (b.finetune ?? '') &&
    (a.version ?? '') === (b.version ?? '') &&
    (a.baseModels ?? []).join('|') === (b.baseModels ?? []).join('|')
  )
}

export function makeEdition(key: string, model: NodeModel): Edition {
  const identity = identify(model)
  const { quant } = identity
  return {
    key,
    id: model.id,
    identity,
    quality: quant === null ? -1 : quant.bits * 100 + quant.bpw,
    aliases: aliasesOf(model),
    holders: [],
  }
}

/** By what else people call it: the file with and without its ending, the repository, the file in the repository. */
function aliasesOf({ path, source }: NodeModel): string[] {
  const aliases: string[] = []
  const file = path.split(/[/\\]/).at(-1) ?? ''
  if (file !== '') aliases.push(file, file.replace(/\.gguf$/i, ''))
  if (/^[\w.-]+\/[\w.-]+/.test(source) && !source.includes('://')) {
    aliases.push(source, source.split('/').slice(0, 2).join('/'))
  }
  return [...new Set(aliases.map((alias) => alias.toLowerCase()))]
}
