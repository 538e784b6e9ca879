import type { Term } from './speed/terms.ts'

/**
 * How quick a machine turned out to be: seconds its own answers took over the seconds planned for them. Published
 * measurements tell what a chip does at its best; the one at hand may be warm, on battery, short of a memory channel, or
 * shared. What it was seen doing with one model corrects what is planned for another.
 */
export interface Pace {
  /** 1.25: a quarter longer than planned. Null where nothing was measured. */
  decode: number | null
  prefill: number | null
  /** It rests on answers of the very model that is planned for. */
  ofThisModel: boolean
  /** The models whose answers it rests on. */
  models: readonly string[]
}

/** One machine's terms, as long as they take there. */
export function atPace(terms: Term[], times: number | null | undefined): Term[] {
  if (times === undefined || times === null || times === 1) return terms
  return terms.map((term) => ({
    ...term,
    seconds: term.seconds * times,
    counted: `${term.counted ?? term.name}, times ${times.toFixed(2)} as measured on this machine`,
  }))
}

/** For the reasons of a plan; null when it says nothing worth saying. */
export function paceText(machine: string, pace: Pace | null | undefined): string | null {
  if (!pace) return null
  const said = (what: string, ratio: number | null): string[] =>
    ratio === null || ratio === 1 ? [] : [`${what} at ${(1 / ratio).toFixed(2)} of the calculated speed`]
  const both = [...said('decodes', pace.decode), ...said('reads prompts', pace.prefill)]
  if (both.length === 0) return null
  const { models } = pace
  const named = models.slice(0, 2).join(' and ')
  const of = models.length > 2 ? `${named} and ${models.length - 2} more` : named
  return `${machine} ${both.join(' and ')}, by its own answers of ${of}`
}
