/**
 * The facts: chips, links, quants and models, each with its source. Data only; what follows from it is the
 * planner's business. Extend by adding one JSON entry: `schema.test.ts` says what is missing.
 */
import chipData from './data/chips.json' with { type: 'json' }
import linkData from './data/links.json' with { type: 'json' }
import modelData from './data/models.json' with { type: 'json' }
import priceData from './data/prices.json' with { type: 'json' }
import quantData from './data/quants.json' with { type: 'json' }
import type { ChipFact, LinkFact, ModelFact, PriceFact, QuantFact } from './schema.ts'

export const chips: readonly ChipFact[] = chipData as unknown as ChipFact[]
export const links: readonly LinkFact[] = linkData as unknown as LinkFact[]
export const models: readonly ModelFact[] = modelData as unknown as ModelFact[]
export const quants: readonly QuantFact[] = quantData as unknown as QuantFact[]
export const prices: readonly PriceFact[] = priceData as unknown as PriceFact[]

function byId<T extends { id: string }>(entries: readonly T[]): ReadonlyMap<string, T> {
  return new Map(entries.map((entry) => [entry.id.toLowerCase(), entry]))
}

const chipIds = byId(chips)
const linkIds = byId(links)
const modelIds = byId(models)
const quantIds = byId(quants)

export const chipById = (id: string): ChipFact | undefined => chipIds.get(id.toLowerCase())
export const linkById = (id: string): LinkFact | undefined => linkIds.get(id.toLowerCase())
export const modelById = (id: string): ModelFact | undefined => modelIds.get(id.toLowerCase())
export const quantById = (id: string): QuantFact | undefined => quantIds.get(id.toLowerCase())

export * from './nearest.ts'
export * from './schema.ts'
