/** Names that a caller can give instead of a model's, to have it chosen; the rules are in docs/concepts/fleet.md. */
export const tierNames = ['auto', 'auto:fast', 'auto:best'] as const
export type Tier = (typeof tierNames)[number]

export const isTier = (name: string): name is Tier => (tierNames as readonly string[]).includes(name)
