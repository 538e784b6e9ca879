/** Which engines to try for a model, in which order. Pure. */
import { HolonError } from '../core/errors.ts'
import type { EngineFound } from '../protocol/machine.ts'

export interface EngineChoice {
  id: string
  /** It is not here yet and must be fetched first. */
  install: boolean
}

/**
 * The wished engine alone; else the preferred one first, then those that are here in the order of `found`, then
 * those that may be fetched without asking, because they are small.
 * @throws HolonError engine_unavailable with what to do
 */
export function chooseEngines(
  found: readonly EngineFound[],
  options: { wished: string | null; preferred: string | null; fetchable: ReadonlySet<string> },
): EngineChoice[] {
  const { wished, preferred, fetchable } = options
  const usable = (engine: EngineFound): EngineChoice[] =>
    engine.available
      ? [{ id: engine.id, install: false }]
      : fetchable.has(engine.id)
        ? [{ id: engine.id, install: true }]
        : []
  if (wished !== null) {
    const engine = found.find((candidate) => candidate.id === wished)
    const choices = engine ? usable(engine) : []
    if (choices.length > 0) return choices
    throw engine ? notHere(engine) : unknownEngine(wished, found)
  }
  const ordered = [...found].sort((a, b) => Number(b.id === preferred) - Number(a.id === preferred))
  const choices = ordered.flatMap(usable)
  // A preferred engine that must be fetched still comes before others that are here: it was chosen.
  const first = choices.filter((choice) => choice.id === preferred)
  const rest = choices.filter((choice) => choice.id !== preferred)
  const sorted = [
    ...first,
    ...rest.filter((choice) => !choice.install),
    ...rest.filter((choice) => choice.install),
  ]
  if (sorted.length > 0) return sorted
  const reasons = found.map((engine) => `${engine.id}: ${engine.whyNot ?? 'not here'}`).join(' ')
  throw new HolonError('engine_unavailable', `No engine can run here. ${reasons}`)
}

function notHere(engine: EngineFound): HolonError {
  const why = engine.whyNot ?? 'It is not installed.'
  return new HolonError('engine_unavailable', `The engine ${engine.id} cannot be used: ${why}`, {
    hint: engine.hint ?? `Get it with \`holon engines install ${engine.id}\`.`,
  })
}

function unknownEngine(id: string, found: readonly EngineFound[]): HolonError {
  const known = found.map((engine) => engine.id).join(', ')
  return new HolonError('engine_unavailable', `There is no engine "${id}".`, {
    hint: `Known are: ${known || 'none'}.`,
  })
}
