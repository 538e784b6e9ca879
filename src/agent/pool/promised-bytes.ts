import type { PartSpec } from '../../protocol/pool.ts'

/** What the plan lets this part take, for engines that say so in its settings; 0 for others. */
export function promisedBytes({ settings }: PartSpec): number {
  const { limitBytes } = settings
  return typeof limitBytes === 'number' && limitBytes > 0 ? limitBytes : 0
}
