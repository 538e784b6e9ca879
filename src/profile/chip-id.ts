/**
 * Which chip of the facts this machine has. A wrong id would put wrong speeds into every plan, so the name must match
 * whole, the variant (GPU cores, memory) must be the only one left, and anything else is null.
 */

/** What is needed of a chip in the facts. */
export interface ChipFact {
  id: string
  name: string
  gpu_cores?: number | null
  memory_options_gb?: readonly number[] | null
}

/** One thing that computes here, under the name its system or driver gives it. */
export interface ChipCandidate {
  name: string
  gpuCores: number | null
  /** Memory of the card, or of the machine where it is shared; decimal or binary makes no difference here. */
  memoryBytes: number | null
}

/** What drivers call a chip where the facts use another name, all as `plain` leaves them. */
const alsoKnownAs: readonly (readonly [RegExp, string])[] = [
  [/^gb10$/, 'dgx-spark-gb10'],
  [/^h200( nvl)?$/, 'h200'],
  [/^h100 80gb hbm3$/, 'h100-sxm'],
  [/^h100 pcie$/, 'h100-pcie'],
  [/^a100-sxm4-80gb$/, 'a100-80g-sxm'],
  [/^a100 80gb pcie$/, 'a100-80g-pcie'],
  [/^a100-(sxm4|pcie)-40gb$/, 'a100-40g'],
  [/^geforce rtx 3060$/, 'rtx-3060-12g'],
  [/^rtx pro 6000 blackwell workstation edition$/, 'rtx-pro-6000'],
  [/^amd ryzen ai max\+ 395 w\/ radeon 8060s$/, 'strix-halo-395'],
  [/^raspberry pi 5 model b\b/, 'rpi-5'],
]

/** @param candidates best first: a card before the processor it sits beside */
export function matchChip(candidates: readonly ChipCandidate[], chips: readonly ChipFact[]): string | null {
  for (const candidate of candidates) {
    const id = matchOne(candidate, chips)
    if (id !== null) return id
  }
  return null
}

function matchOne(candidate: ChipCandidate, chips: readonly ChipFact[]): string | null {
  const name = plain(candidate.name)
  const alias = alsoKnownAs.find(([pattern]) => pattern.test(name))?.[1]
  const named = chips.filter((chip) => (alias === undefined ? plain(chip.name) === name : chip.id === alias))
  const fitting = named.filter((chip) => coresFit(candidate, chip) && memoryFits(candidate, chip))
  return fitting.length === 1 ? (fitting[0]?.id ?? null) : null
}

/** Lower case, without the maker of a card and without what stands in brackets: "Apple M4 Max (40-core GPU)". */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replace(/\(r\)|\(tm\)/g, '')
    .replace(/\([^)]*\)/g, '')
    .replace(/^(nvidia|amd (?=radeon))/, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Only Apple's names need the cores to be told apart, and only Apple's systems tell them. */
function coresFit(candidate: ChipCandidate, chip: ChipFact): boolean {
  return candidate.gpuCores === null || chip.gpu_cores == null
    ? !/^apple/i.test(candidate.name)
    : candidate.gpuCores === chip.gpu_cores
}

/** Within a tenth of one of the sizes it is sold with: drivers keep some for themselves. Unknown sizes fit. */
function memoryFits(candidate: ChipCandidate, chip: ChipFact): boolean {
  const bytes = candidate.memoryBytes
  if (bytes === null || !chip.memory_options_gb?.length) return true
  return chip.memory_options_gb.some((size) => {
    const inGb = Math.abs(bytes / 1e9 - size) / size
    const inGib = Math.abs(bytes / 2 ** 30 - size) / size
    return Math.min(inGb, inGib) < 0.1
  })
}
