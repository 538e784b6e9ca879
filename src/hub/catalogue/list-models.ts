/** The offered models, each once under its canonical name, with its variants and where they are. */
import { HolonError } from '../../core/errors.ts'
import { betterQuant } from '../../planner/names/index.ts'
import type { CatalogueModel, CatalogueVariant } from '../../protocol/catalogue.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeState } from '../../protocol/node.ts'
import type { Catalogue } from './catalogue.ts'
import { indexModels, type Variant } from './index-models.ts'

const better: NodeModel['state'][] = ['ready', 'loading', 'disk', 'failed']

interface Row {
  variant: Variant
  nodes: string[]
  state: NodeModel['state']
  offered: boolean
}

/** Advertised models grouped into canonical ones, in order of first sight; variants by quality. */
export function groupModels(catalogue: Catalogue, states: readonly NodeState[]): CatalogueModel[] {
  const groups = new Map<string, Map<string, Row>>()
  for (const node of states) {
    if (node.state === 'gone') continue
    for (const variant of indexModels(node.models).all) {
      const { model, identity } = variant
      if (model.problem !== null) continue
      const rows = groups.get(identity.canonical) ?? new Map<string, Row>()
      groups.set(identity.canonical, rows)
      // One id on two nodes is one variant, unless the weights are known to differ.
      const key = `${model.id} ${model.weightsId ?? ''}`
      const row = rows.get(key)
      if (!row) {
        rows.set(key, {
          variant,
          nodes: [node.name],
          state: model.state,
          offered: catalogue.isOffered(variant),
        })
        continue
      }
      row.nodes.push(node.name)
      if (better.indexOf(model.state) < better.indexOf(row.state)) row.state = model.state
    }
  }
  return [...groups].map(([name, rows]) => toModel(name, [...rows.values()]))
}

function toModel(name: string, rows: Row[]): CatalogueModel {
  rows.sort((a, b) => betterQuant(a.variant.identity.quant, b.variant.identity.quant))
  const first = rows[0]!.variant.identity
  return {
    name,
    family: first.family,
    size: first.size,
    offered: rows.some((row) => row.offered),
    variants: rows.map(toVariant),
  }
}

function toVariant({ variant, nodes, state, offered }: Row): CatalogueVariant {
  const { model, identity } = variant
  return {
    id: model.id,
    quant: identity.quant?.label ?? model.quant,
    bits: identity.quant?.bits ?? null,
    sizeBytes: model.sizeBytes,
    contextMax: model.contextMax,
    embedding: model.embedding,
    demo: model.demo,
    ...(model.engine === undefined ? {} : { engine: model.engine }),
    weightsId: model.weightsId ?? null,
    state,
    nodes,
    offered,
    from: identity.from,
  }
}

export interface ModelRow {
  id: string
  object: 'model'
  /** Seconds since the epoch. Files carry no such date; the hub's start stands in, as clients require a number. */
  created: number
  owned_by: string
  holon: {
    canonical: string
    state: NodeModel['state']
    nodes: string[]
    embedding: boolean
    demo: boolean
    quant: string | null
    sizeBytes: number
    contextMax: number | null
    variants: CatalogueVariant[]
  }
}

/** What one caller may use of what is offered; null is all of it. */
export interface Permitted {
  allows(canonical: string, id: string): boolean
}

/** GET /v1/models: one row per canonical model. The figures are those of the variant that would answer. */
export function listModels(
  catalogue: Catalogue,
  created: number,
  permitted: Permitted | null = null,
): ModelRow[] {
  return offered(catalogue, permitted).map((model) => toRow(model.name, model, created))
}

function offered(catalogue: Catalogue, permitted: Permitted | null): CatalogueModel[] {
  return groupModels(catalogue, catalogue.states())
    .map((model) => ({
      ...model,
      variants: model.variants.filter(
        (variant) => variant.offered && (permitted?.allows(model.name, variant.id) ?? true),
      ),
    }))
    .filter((model) => model.variants.length > 0)
}

function toRow(id: string, model: CatalogueModel, created: number): ModelRow {
  const { variants } = model
  const answers = variants.reduce((best, variant) =>
    better.indexOf(variant.state) < better.indexOf(best.state) ? variant : best,
  )
  return {
    id,
    object: 'model',
    created,
    owned_by: 'holon',
    holon: {
      canonical: model.name,
      state: answers.state,
      nodes: [...new Set(variants.flatMap((variant) => variant.nodes))],
      embedding: answers.embedding,
      demo: answers.demo,
      quant: answers.quant,
      sizeBytes: answers.sizeBytes,
      contextMax: answers.contextMax,
      variants,
    },
  }
}

/**
 * GET /v1/models/{name}: by any name that can be asked for, with the variants it would be answered by.
 * @throws HolonError model_not_found, invalid_parameter, store_unavailable
 */
export function describeModel(
  catalogue: Catalogue,
  created: number,
  asked: string,
  permitted: Permitted | null = null,
): ModelRow {
  const wanted = catalogue.wanted(asked)
  const ids = new Set(
    catalogue.states().flatMap(({ models }) => wanted.among(models).map(({ model }) => model.id)),
  )
  for (const model of offered(catalogue, permitted)) {
    const variants = model.variants.filter((variant) => ids.has(variant.id))
    if (variants.length > 0)
      return toRow(ids.has(asked) ? asked : model.name, { ...model, variants }, created)
  }
  throw new HolonError('model_not_found', `There is no model "${asked.slice(0, 200)}" here.`, {
    param: 'model',
  })
}
