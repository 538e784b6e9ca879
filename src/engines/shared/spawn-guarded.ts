import { childEntry } from '../../core/child-entry.ts'
import type { GuardedProgram } from './guard.ts'
import { type Spawned, type SpawnOptions, spawnChild } from './spawn.ts'

export type Guarded = Spawned & {
  /** The program's own, for its memory; `pid` and `stop` concern the guard and the program together. */
  enginePid: number
}

type Program = Pick<SpawnOptions, 'command' | 'args' | 'env' | 'cwd' | 'onLine'>

/** A foreign program under guard: it ends when we do, even when we are killed. */
export async function spawnGuarded(program: Program): Promise<Guarded> {
  return new Guard().run(program)
}

/**
 * A guard that is up before its program: Node takes longer to start than most engines do, and whoever knows that one
 * will be needed need not wait for it then. Runs one program; `drop` ends it when there will be none.
 */
export class Guard {
  private readonly child: Promise<Spawned>
  private tell: (line: string) => void = () => undefined
  private used = false

  constructor() {
    this.child = spawnChild({
      command: process.execPath,
      args: [childEntry(import.meta.url, './guard.ts')],
      ipc: true,
      onLine: (line) => this.tell(line),
    })
    // Whoever runs a program hears of it.
    this.child.catch(() => undefined)
  }

  async run({ command, args, env, cwd, onLine }: Program): Promise<Guarded> {
    this.used = true
    if (onLine) this.tell = onLine
    const child = await this.child
    const enginePid = new Promise<number>((resolve) => {
      child.process.once('message', (message: { pid: number }) => resolve(message.pid))
      // It could not be started: `exited` says why, and nobody needs the number.
      void child.exited.then(() => resolve(child.pid))
    })
    const program: GuardedProgram = { command, args, env: env ?? process.env, ...(cwd ? { cwd } : {}) }
    // One that has just ended is told of by `exited`.
    child.process.send(program, () => undefined)
    return { ...child, enginePid: await enginePid }
  }

  /** Ends it, unless it was given a program. */
  async drop(): Promise<void> {
    if (this.used) return
    this.used = true
    await this.child.then(
      (child) => child.stop(0),
      () => undefined,
    )
  }
}
