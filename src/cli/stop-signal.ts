/** How a program that serves is asked to end. */
export interface StopSignal {
  signal: AbortSignal
  /** Resolves with the signal's name once somebody asks to stop. */
  asked: Promise<string>
  dispose(): void
}

/** Ctrl-C and its kin. A second one does not wait for answers under way. */
export function stopSignal(): StopSignal {
  const controller = new AbortController()
  let times = 0
  let ask: (reason: string) => void = () => undefined
  const asked = new Promise<string>((resolve) => {
    ask = resolve
  })
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const onSignal = (name: string) => {
    times += 1
    // The engines hold a pipe to this process and end with it, so leaving at once orphans nothing.
    if (times > 1) process.exit(130)
    controller.abort()
    ask(name === 'SIGINT' ? 'Ctrl-C' : name)
  }
  for (const name of names) process.on(name, onSignal)
  return {
    signal: controller.signal,
    asked,
    dispose: () => {
      for (const name of names) process.removeListener(name, onSignal)
    },
  }
}
