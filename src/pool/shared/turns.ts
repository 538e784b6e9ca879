/** One at a time, in the order of asking. */
export class Turns {
  private last: Promise<void> = Promise.resolve()

  /** Waits for its turn; call what it returns to end it. @throws the signal's reason, and then it holds no turn */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    const before = this.last
    let done: () => void = () => undefined
    const mine = new Promise<void>((resolve) => {
      done = resolve
    })
    // Whoever comes next waits for all before, also when this one gives up waiting.
    this.last = before.then(() => mine)
    let giveUp: () => void = () => undefined
    const aborted = new Promise<never>((_, reject) => {
      giveUp = () => reject(signal.reason)
      signal.addEventListener('abort', giveUp, { once: true })
    })
    try {
      await Promise.race([before, aborted])
      return done
    } catch (thrown) {
      done()
      throw thrown
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }
}
