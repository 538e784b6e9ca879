/** The offered models, each once under its canonical name, with its variants and where they are. */
import { HolonError } from '../../core/errors.ts'
import { betterQuant } from '../../planner/names/index.ts'
import type { CatalogueModel, CatalogueVariant } from '../../protocol/catalogue.ts'
import { lanes as allLanes, type Lane } from '../../protocol/lane.ts'
import type { NodeModel } from '../../protocol/model.ts'
import { isTier, tierNames } from '../../protocol/tier.ts'
import { withoutOthers } from '../auth/wanted-by.ts'
import type { Catalogue } from './catalogue.ts'
import type { Edition, Placement } from './edition.ts'

const better: NodeModel['state'][] = ['ready', 'loading', 'disk', 'failed']

interface Row {
  edition: Edition
  model: NodeModel
  nodes: string[]
  state: NodeModel['state']
  lanes: Lane[]
}

/** Advertised models grouped into canonical ones, in order of first sight; variants by quality. */
export function groupModels(catalogue: Catalogue): CatalogueModel[] {
  const { index } = catalogue
  index.refresh()
  const models: CatalogueModel[] = []
  for (const name of index.names()) {
    const rows = new Map<string, Row>()
    for (const { holders } of index.byCanonical(name)) {
      for (const holder of holders) if (holder.model.problem === null) addTo(rows, holder, catalogue)
    }
    if (rows.size > 0) models.push(toModel(name, [...rows.values()], catalogue))
  }
  return models
}

/** One id on two nodes is one variant, unless the weights are known to differ. */
function addTo(rows: Map<string, Row>, placement: Placement, catalogue: Catalogue): void {
  const { edition, model, node } = placement
  const key = `${model.id} ${model.weightsId ?? ''}`
  const lanes = catalogue.lanesOf(placement) ?? allLanes
  const row = rows.get(key)
  if (!row) {
    rows.set(key, { edition, model, nodes: [node.handle.name], state: model.state, lanes: [...lanes] })
    return
  }
  row.nodes.push(node.handle.name)
  for (const lane of lanes) if (!row.lanes.includes(lane)) row.lanes.push(lane)
  if (better.indexOf(model.state) < better.indexOf(row.state)) row.state = model.state
}

function toModel(name: string, rows: Row[], catalogue: Catalogue): CatalogueModel {
  rows.sort((a, b) => betterQuant(a.edition.identity.quant, b.edition.identity.quant))
  const first = rows[0]!.edition.identity
  return {
    name,
    family: first.family,
    size: first.size,
    offered: rows.some((row) => catalogue.isOffered(row.edition)),
    variants: rows.map((row) => toVariant(row, catalogue.isOffered(row.edition))),
  }
}

function toVariant({ edition, model, nodes, state, lanes }: Row, offered: boolean): CatalogueVariant {
  const { identity } = edition
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
    lanes: allLanes.filter((lane) => lanes.includes(lane)),
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

/** Whose view of the models: on which lane, and what the caller may use. */
export interface View {
  lane?: Lane
  permitted?: Permitted | null
}

/**
 * GET /v1/models: one row per canonical model, and one per tier where there is something to choose from. The figures
 * are those of the variant that would answer.
 */
export function listModels(catalogue: Catalogue, created: number, view: View = {}): ModelRow[] {
  const rows = offeredModels(catalogue, view).map((model) => toRow(model.name, model, created))
  const texts = rows.filter(({ holon }) => !holon.embedding && !holon.demo)
  return texts.length < 2 ? rows : [...rows, ...tierNames.map((id) => tierRow(id, texts, created))]
}

function tierRow(id: string, among: readonly ModelRow[], created: number): ModelRow {
  const state = better.find((each) => among.some(({ holon }) => holon.state === each)) ?? 'disk'
  const nodes = [...new Set(among.flatMap(({ holon }) => holon.nodes))]
  const contextMax = among.reduce((most, { holon }) => Math.max(most, holon.contextMax ?? 0), 0)
  return {
    id,
    object: 'model',
    created,
    owned_by: 'holon',
    holon: {
      canonical: id,
      state,
      nodes,
      embedding: false,
      demo: false,
      quant: null,
      sizeBytes: 0,
      contextMax: contextMax || null,
      variants: [],
    },
  }
}

export function offeredModels(
  catalogue: Catalogue,
  { lane = 'production', permitted }: View,
): CatalogueModel[] {
  const isOpen = (name: string, { id, offered, lanes }: CatalogueVariant) =>
    offered && lanes.includes(lane) && (permitted?.allows(name, id) ?? true)
  return groupModels(catalogue)
    .map((model) => ({
      ...model,
      variants: model.variants.filter((variant) => isOpen(model.name, variant)),
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
  view: View = {},
): ModelRow {
  if (isTier(asked)) {
    const tier = listModels(catalogue, created, view).find(({ id }) => id === asked)
    if (tier) return tier
  }
  const { held } = withoutOthers(view.permitted, () => catalogue.find(asked, view.lane ?? 'production'))
  const ids = new Set(held.map(({ placement }) => placement.model.id))
  for (const model of offeredModels(catalogue, view)) {
    const variants = model.variants.filter((variant) => ids.has(variant.id))
    if (variants.length > 0)
      return toRow(ids.has(asked) ? asked : model.name, { ...model, variants }, created)
  }
  throw new HolonError('model_not_found', `There is no model "${asked.slice(0, 200)}" here.`, {
    param: 'model',
  })
}
