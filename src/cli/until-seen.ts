/**
 * A node looks at its disk every five seconds. A command that changed the disk ends when the hub of this HOLON_HOME has
 * seen it: `pull` ends with "Talk to it", and whoever did so at once was told that there is no such model.
 */
import { systemClock } from '../core/clock.ts'
import { readLock } from './home-lock.ts'
import type { Cli } from './shell.ts'

const lookEveryMs = 250
/** Two looks of the node. After that the command ends all the same: the change on the disk is made. */
const atMostMs = 10_000

/** @param there whether the model should be listed, or should be gone. Never throws: no hub, nothing to wait for. */
export async function untilSeen({ config, hub }: Cli, model: string, there: boolean): Promise<void> {
  if (!readLock(config().home)?.url) return
  const until = systemClock.now() + atMostMs
  try {
    while (systemClock.now() < until) {
      const { models } = await hub().get<{ models: { id: string }[] }>('/fleet/v1/models')
      if (models.some(({ id }) => id === model) === there) return
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
  } catch {
    // The hub is going, or is another one that does not let this caller look.
  }
}
