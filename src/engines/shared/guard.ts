import { spawn } from 'node:child_process'

/**
 * Stands between Holon and an engine that is not ours to change, so that the engine never outlives Holon: when the
 * channel to the parent closes, however the parent ended (also by SIGKILL), the engine is ended too.
 * By `spawn-guarded.ts` only: it waits to be told what to run, so that it can be up before that is known.
 */
export interface GuardedProgram {
  command: string
  args: readonly string[]
  env: NodeJS.ProcessEnv
  cwd?: string
}

const killAfterMs = 3000

/** What the engine started and left behind: nobody else is there to end it. We lead the group, and go with it. */
function endGroup(): void {
  try {
    if (process.platform !== 'win32') process.kill(-process.pid, 'SIGKILL')
  } catch {
    // We lead no group.
  }
}

// Nothing runs yet: there is nothing to end but this.
const leave = (): never => process.exit(0)
process.once('disconnect', leave)

process.once('message', ({ command, args, env, cwd }: GuardedProgram) => {
  process.off('disconnect', leave)
  const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'inherit', 'inherit'], windowsHide: true })
  let orphaned = false
  const end = (): void => {
    orphaned = true
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref()
  }
  process.on('disconnect', end)
  // The parent signals the whole group: the engine has the signal already, and we wait for it to end.
  process.on('SIGTERM', () => undefined)
  process.on('SIGINT', () => undefined)
  child.once('error', (error: NodeJS.ErrnoException) => {
    process.stderr.write(`error: ${command} cannot be started: ${error.message}\n`)
    process.exit(127)
  })
  child.once('spawn', () => process.send?.({ pid: child.pid }))
  child.once('exit', (code, signal) => {
    if (orphaned) endGroup()
    if (!signal) process.exit(code ?? 1)
    // End the way the engine did, so that whoever waits for us sees how.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    // Signals that do not end a process by default cannot have ended the engine.
    setTimeout(() => process.exit(1), 1000)
  })
})
