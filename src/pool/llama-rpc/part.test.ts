import { expect, test } from 'vitest'
import { eventually, isAlive } from '../../../test/support/cli.ts'
import { silentLog } from '../../core/log.ts'
import { type Guarded, spawnGuarded } from '../../engines/shared/spawn-guarded.ts'
import type { RunningPart } from '../../protocol/pool.ts'
import { openWire } from '../wire/wire.ts'
import { LlamaPart } from './part.ts'

/** A part whose engine comes up when it is let, whatever has become of the part meanwhile. */
class SlowPart extends LlamaPart {
  engine: Guarded | null = null
  come: () => void = () => undefined
  private readonly gate = new Promise<void>((resolve) => {
    this.come = resolve
  })

  protected async run(): Promise<RunningPart> {
    await this.gate
    this.engine = await spawnGuarded({
      command: process.execPath,
      args: ['-e', 'setInterval(() => undefined, 1000)'],
    })
    this.watch(this.engine)
    return this.runningPart(null)
  }

  protected async look(): Promise<null> {
    return null
  }
}

test('an engine that comes up while its part is being ended is ended with it', async () => {
  const spec = { launch: 'launch_1', rank: 0, wire: { mode: 'encrypted' as const, host: null, peers: [] } }
  const part = new SlowPart(await openWire({ spec, log: silentLog }))
  const started = part.start([], { signal: new AbortController().signal })
  await part.stop()
  part.come()
  await started
  const { pid = 0, enginePid = 0 } = part.engine ?? {}
  expect(enginePid).toBeGreaterThan(0)
  await part.stop()
  await eventually('the engine to end', () => !isAlive(pid) && !isAlive(enginePid))
})
