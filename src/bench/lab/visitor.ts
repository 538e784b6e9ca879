/** A client at the desk, as the bench speaks to it: what it asks of one address goes there by IPC, and comes back. */
import type { ChildProcess } from 'node:child_process'
import type { Answer, Errand, Told } from './desk.ts'

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
  onFirst?: () => void
}

/** Without its number, for each kind of errand on its own. */
type Order = Errand extends infer One ? (One extends Errand ? Omit<One, 'id'> : never) : never

export class Visitor {
  private readonly child: ChildProcess
  private readonly errands = new Map<number, Waiting>()
  private count = 0

  /** @param child a process of `desk.ts` */
  constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (told: Told) => this.hear(told))
    child.on('exit', () => this.giveUp())
  }

  get<T>(path: string): Promise<T> {
    return this.errand({ kind: 'call', method: 'GET', path }) as Promise<T>
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.errand({ kind: 'call', method: 'POST', path, body }) as Promise<T>
  }

  /** One streamed answer. `onFirst` is called when its first token came. */
  ask(body: Record<string, unknown>, onFirst?: () => void): Promise<Answer> {
    const order: Order = { kind: 'ask', body, tellFirst: onFirst !== undefined }
    return this.errand(order, onFirst) as Promise<Answer>
  }

  leave(): void {
    this.child.kill('SIGKILL')
  }

  private errand(order: Order, onFirst?: () => void): Promise<unknown> {
    const id = ++this.count
    return new Promise((resolve, reject) => {
      this.errands.set(id, { resolve, reject, ...(onFirst ? { onFirst } : {}) })
      this.child.send({ ...order, id })
    })
  }

  private hear({ id, first, value, failure }: Told): void {
    const waiting = this.errands.get(id)
    if (!waiting) return
    if (first) {
      waiting.onFirst?.()
      return
    }
    this.errands.delete(id)
    if (failure === undefined) waiting.resolve(value)
    else waiting.reject(new Error(failure))
  }

  private giveUp(): void {
    for (const { reject } of this.errands.values()) reject(new Error('the desk has ended'))
    this.errands.clear()
  }
}
