/**
 * What machines of a fleet in use have behind them: each has answered a few times with some other model that fits it alone.
 * The hub learns from that how quick they are, and previews of models that it never saw are corrected by it. Done again
 * later it tells how quick they are by then: a guest on a shared host is not the same machine from one minute to the next.
 */
import { existsSync, linkSync } from 'node:fs'
import { join } from 'node:path'
import { median } from '../../core/median.ts'
import type { Lab } from '../lab/lab.ts'
import { halfBillion, writeRandomGguf } from '../random-gguf.ts'
import { answered, contextTokens, names, question, type Speeds } from './stand.ts'

/** A name that the planner knows, with that model's shape. */
const model = 'qwen2.5-0.5b-instruct-q8_0'
const answers = 4

/** Speeds of each machine alone, in the order of their names; medians. */
export type Alone = readonly Pick<Speeds, 'decodeTokS' | 'prefillTokS'>[]

export async function acquaint(lab: Lab): Promise<Alone> {
  giveModel(lab)
  const alone: Pick<Speeds, 'decodeTokS' | 'prefillTokS'>[] = []
  for (const name of names) {
    // One after the other: asked together, the quickest would have answered everything.
    await lab.join(name)
    await lab.post('/fleet/v1/models/load', { model, contextTokens })
    const told: Speeds[] = []
    for (let count = 0; count < answers; count++) told.push(await answered(lab, { ...question(), model }))
    alone.push({
      decodeTokS: median(told.map(({ decodeTokS }) => decodeTokS)),
      prefillTokS: median(told.map(({ prefillTokS }) => prefillTokS)),
    })
    await lab.post('/fleet/v1/models/unload', { model })
    await lab.leave(name)
  }
  return alone
}

function giveModel(lab: Lab): void {
  const [first, ...others] = names.map((name) => join(lab.nodes[name]!.home, 'models', `${model}.gguf`))
  if (existsSync(first!)) return
  writeRandomGguf(first!, { ...halfBillion, type: 'Q8_0', name: 'Qwen2.5 0.5B Instruct' })
  for (const path of others) linkSync(first!, path)
}

/**
 * How quick the first so many machines were while something was measured, against what the hub had learned of them by then:
 * 0.8 says that everything took a quarter longer in those minutes.
 * @param learned in the order of time
 * @param around just before and just after
 */
export function driftOf(
  learned: readonly Alone[],
  around: readonly [Alone, Alone],
  machines: number,
): Record<'decode' | 'prefill', number> {
  const mean = (times: readonly Alone[], at: number, which: 'decodeTokS' | 'prefillTokS'): number =>
    Math.exp(times.reduce((sum, alone) => sum + Math.log(alone[at]![which]), 0) / times.length)
  const drift = (which: 'decodeTokS' | 'prefillTokS'): number => {
    const each = Array.from(
      { length: machines },
      (_, at) => mean(around, at, which) / mean(learned, at, which),
    )
    return each.reduce((sum, one) => sum + one, 0) / machines
  }
  return { decode: drift('decodeTokS'), prefill: drift('prefillTokS') }
}
