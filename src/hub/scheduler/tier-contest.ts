/** The contest of a tier: models first, by the written rules of tiers.ts, then the placements of the model chosen. Pure. */
import type { Tier } from '../../protocol/tier.ts'
import { type Entrants, holdContest, type Rules, type Verdict } from './contest.ts'
import type { Demand } from './demand.ts'
import type { Gauge } from './gauge.ts'
import { eligible, type Family, fastFamilies, isAble, leastDecode, mostWaitS, tierFor } from './tiers.ts'

export interface Tiered {
  tier: 'auto:fast' | 'auto:best'
  entrants: Entrants
}

/** A fleet of very many placements: models are tried until so many were looked at. */
const mostLookedAt = 50_000

/** A model and what its placements are as entrants. */
interface Grouped extends Family {
  entrants: Entrants
}

const kept = new WeakMap<Entrants, readonly Grouped[]>()

/** Leaves the verdict of the model that is taken; its winner is -1 when there is none. */
export function contestTier(
  asked: Tier,
  demand: Demand,
  all: Entrants,
  rules: Rules,
  verdict: Verdict,
): Tiered {
  const tier = tierFor(asked, demand)
  const able = (gauge: Gauge) => isAble(gauge, demand)
  const families = eligible(group(all), demand.endpoint === 'chat') as readonly Grouped[]
  const taken = { ...rules, able }
  const choose = tier === 'auto:fast' ? fastest : largest
  const entrants = choose(families, taken, verdict)
  return { tier, entrants: entrants ?? all }
}

function fastest(families: readonly Grouped[], rules: Rules, verdict: Verdict): Entrants | null {
  const best = { rank: 99, finishS: 0, family: null as Grouped | null }
  let looked = 0
  for (const family of fastFamilies(families) as readonly Grouped[]) {
    if (looked > mostLookedAt) break
    looked += family.gauges.length
    holdContest(family.entrants, rules, verdict)
    const { winner, rank, terms } = verdict
    if (winner === -1 || rank > best.rank || (rank === best.rank && terms.finishS >= best.finishS)) continue
    Object.assign(best, { rank, finishS: terms.finishS, family })
  }
  return again(best.family, rules, verdict)
}

/** How good a model's best placement is for `auto:best`: 0 as wished, 1 in memory, 2 to be loaded, 3 hardly. */
function gradeOf({ entrants }: Grouped, verdict: Verdict, rules: Rules): number {
  const gauge = entrants.gauges[verdict.winner]!
  if (verdict.rank >= 2) return 3
  if (gauge.placement.model.state !== 'ready') return 2
  const { waitS, decodeTokS } = verdict.terms
  return waitS <= mostWaitS && decodeTokS >= leastDecode(rules.level) ? 0 : 1
}

function largest(families: readonly Grouped[], rules: Rules, verdict: Verdict): Entrants | null {
  const best = { grade: 9, family: null as Grouped | null }
  let looked = 0
  for (const family of [...families].sort((a, b) => b.params - a.params)) {
    if (looked > mostLookedAt) break
    looked += family.gauges.length
    holdContest(family.entrants, rules, verdict)
    if (verdict.winner === -1) continue
    const grade = gradeOf(family, verdict, rules)
    if (grade === 0) return family.entrants
    if (grade < best.grade) Object.assign(best, { grade, family })
  }
  return again(best.family, rules, verdict)
}

function again(family: Grouped | null, rules: Rules, verdict: Verdict): Entrants | null {
  if (family !== null) holdContest(family.entrants, rules, verdict)
  else verdict.winner = -1
  return family?.entrants ?? null
}

function group(all: Entrants): readonly Grouped[] {
  const known = kept.get(all)
  if (known !== undefined) return known
  const found = new Map<string, number[]>()
  all.gauges.forEach((gauge, index) => {
    const { canonical } = gauge.placement.edition.identity
    const list = found.get(canonical)
    if (list) list.push(index)
    else found.set(canonical, [index])
  })
  const groups = [...found].map(([name, indexes]): Grouped => {
    const gauges = indexes.map((index) => all.gauges[index]!)
    const models = gauges.map(({ placement }) => placement.model)
    return {
      name,
      params: Math.max(...models.slice(0, 100).map(({ paramsTotal }) => paramsTotal ?? 0)),
      demo: models.every(({ demo }) => demo),
      gauges,
      entrants: {
        gauges,
        places: Int32Array.from(gauges, ({ at }) => at),
        background: Uint8Array.from(indexes, (index) => all.background[index]!),
        ordinary: Uint8Array.from(indexes, (index) => all.ordinary[index]!),
      },
    }
  })
  kept.set(all, groups)
  return groups
}
