/** A hub that nobody asks lets the machine sleep. It once woke a hundred times a second, for a metric. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startCli } from '../support/cli.ts'
import { makeTestHome } from '../support/home.ts'

const restMs = 4_000

/** How often the event loop has gone to sleep until now. */
const sleeps = (pid: number): number =>
  Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

test.runIf(process.platform === 'linux')('at rest it wakes a few times a second', async () => {
  const home = makeTestHome()
  const up = startCli(['up', '--no-open'], { HOLON_HOME: home.root, HOLON_PORT: '0' })
  try {
    await up.until(/is ready/)
    const pid = up.child.pid ?? 0
    // What follows a start takes a while, on a busy machine too: of several spans the quietest counts.
    let least = Number.POSITIVE_INFINITY
    for (let span = 0; span < 5 && least >= restMs / 20; span++) {
      const before = sleeps(pid)
      await sleep(restMs)
      least = Math.min(least, sleeps(pid) - before)
    }
    expect(least).toBeLessThan(restMs / 20)
  } finally {
    up.child.kill('SIGKILL')
    await up.finished
    home.remove()
  }
})
