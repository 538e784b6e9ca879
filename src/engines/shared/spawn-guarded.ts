import { childEntry } from '../../core/child-entry.ts'
import { type Spawned, type SpawnOptions, spawnChild } from './spawn.ts'

/**
 * A foreign program under guard: it ends when we do, even when we are killed. `enginePid` is the program's own,
 * for its memory; `pid` and `stop` concern the guard and the program together.
 */
export async function spawnGuarded(options: SpawnOptions): Promise<Spawned & { enginePid: number }> {
  const child = await spawnChild({
    ...options,
    command: process.execPath,
    args: [childEntry(import.meta.url, './guard.ts'), options.command, ...options.args],
    ipc: true,
  })
  const enginePid = await new Promise<number>((resolve) => {
    child.process.once('message', (message: { pid: number }) => resolve(message.pid))
    // It could not be started: `exited` says why, and nobody needs the number.
    void child.exited.then(() => resolve(child.pid))
  })
  return { ...child, enginePid }
}
