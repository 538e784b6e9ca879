/** Names of engines and machines as `holon pool` takes them from the command line. */
import { HolonError } from '../../core/errors.ts'
import { type PoolEngineId, poolEngineIds } from '../../protocol/pool.ts'

/** @throws HolonError usage */
export function engineOf(text: string | undefined): PoolEngineId | undefined {
  const id = poolEngineIds.find((known) => known === text)
  if (text === undefined || id !== undefined) return id
  throw new HolonError('usage', `"${text}" is no engine for pools.`, {
    hint: `Use one of: ${poolEngineIds.join(', ')}.`,
  })
}

/** @throws HolonError usage when it names none */
export function namesOf(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (names.length > 0) return names
  throw new HolonError('usage', '--nodes names no machine.', {
    hint: 'It takes names separated by commas, such as --nodes oak,elm; `holon nodes` lists them.',
  })
}
