/**
 * What a node advertises, by every name it can be asked for. A request looks a name up in one index per node, so the
 * work of telling names apart is done once per snapshot and not once per request.
 */

import { identify, type ModelIdentity } from '../../planner/names/index.ts'
import type { NodeModel } from '../../protocol/model.ts'

export interface Variant {
  model: NodeModel
  identity: ModelIdentity
}

export interface ModelIndex {
  all: readonly Variant[]
  byId: ReadonlyMap<string, readonly Variant[]>
  /** Ids in lower case. */
  byPlainId: ReadonlyMap<string, readonly Variant[]>
  /** File names, paths in a repository, repositories: in lower case. */
  byAlias: ReadonlyMap<string, readonly Variant[]>
  byCanonical: ReadonlyMap<string, readonly Variant[]>
}

/** Nodes send their models anew with every change; what they say of a model seldom differs. */
const identities = new Map<string, ModelIdentity>()
const maxIdentities = 20_000
const maxText = 1_000

export function identityOf(model: NodeModel): ModelIdentity {
  const { id, path, source, quant, paramsTotal, architecture, weightsId } = model
  const { naming } = model
  const said = [
    id, path, source, quant, paramsTotal, architecture, weightsId, naming?.name, naming?.basename, naming?.sizeLabel,
    naming?.finetune, naming?.version, naming?.baseModels?.join('|'),
  ] // biome-ignore format: one key
  const key = said.map((part) => String(part ?? '').slice(0, maxText)).join('\u0000')
  const known = identities.get(key)
  if (known) return known
  const identity = identify(model)
  // A hostile node that sends ever new names costs time, not memory.
  if (identities.size >= maxIdentities) identities.clear()
  identities.set(key, identity)
  return identity
}

const indexes = new WeakMap<readonly NodeModel[], ModelIndex>()

export function indexModels(models: readonly NodeModel[]): ModelIndex {
  const known = indexes.get(models)
  if (known && isCurrent(known, models)) return known
  const all = models.map((model) => ({ model, identity: identityOf(model) }))
  const index: ModelIndex = {
    all,
    byId: group(all, ({ model }) => [model.id]),
    byPlainId: group(all, ({ model }) => [model.id.toLowerCase()]),
    byAlias: group(all, ({ model }) => aliasesOf(model)),
    byCanonical: group(all, ({ identity }) => [identity.canonical]),
  }
  indexes.set(models, index)
  return index
}

/** A node in this process may change its list in place. */
function isCurrent(index: ModelIndex, models: readonly NodeModel[]): boolean {
  const { all } = index
  return all.length === models.length && all[0]?.model === models[0] && all.at(-1)?.model === models.at(-1)
}

function group(all: readonly Variant[], keysOf: (variant: Variant) => string[]): Map<string, Variant[]> {
  const found = new Map<string, Variant[]>()
  for (const variant of all) {
    for (const key of new Set(keysOf(variant))) {
      const list = found.get(key)
      if (list) list.push(variant)
      else found.set(key, [variant])
    }
  }
  return found
}

/** By what else people call it: the file with and without its ending, the repository, the file in the repository. */
function aliasesOf({ path, source }: NodeModel): string[] {
  const aliases: string[] = []
  const file = path.split(/[/\\]/).at(-1) ?? ''
  if (file !== '') aliases.push(file, file.replace(/\.gguf$/i, ''))
  if (/^[\w.-]+\/[\w.-]+/.test(source) && !source.includes('://')) {
    aliases.push(source, source.split('/').slice(0, 2).join('/'))
  }
  return aliases.map((alias) => alias.toLowerCase())
}
