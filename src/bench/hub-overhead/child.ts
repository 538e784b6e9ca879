/** A program of the bench that runs beside it, and what it has used so far. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ChildUse, FromChild } from './told.ts'

/** The hub may not be imported by a bench, so it is started by a script. @param here URL of a module in `bench` */
export const hubProgram = (here: string): string =>
  fileURLToPath(new URL('../../scripts/bench-hub.mjs', here))

export class Child {
  readonly process: ChildProcess
  readonly origin: Promise<string>

  constructor(path: string, args: string[]) {
    this.process = fork(path, args, { execArgv: ['--expose-gc'] })
    this.origin = this.told().then((message) => ('origin' in message ? message.origin : ''))
  }

  async use(): Promise<ChildUse> {
    await this.origin
    this.process.send('use')
    const message = await this.told()
    if (!('use' in message)) throw new Error('a child of the bench answered something else')
    return message.use
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return
    const gone = once(this.process, 'exit')
    this.process.send('stop')
    await gone
  }

  private told(): Promise<FromChild> {
    return new Promise((resolve, reject) => {
      const { process: child } = this
      const onExit = (code: number | null) => {
        child.off('message', onMessage)
        reject(new Error(`a child of the bench ended with ${String(code)}`))
      }
      const onMessage = (message: FromChild) => {
        child.off('exit', onExit)
        resolve(message)
      }
      child.once('exit', onExit)
      child.once('message', onMessage)
    })
  }
}
