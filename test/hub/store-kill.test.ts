/** kill -9 at any moment: no more than the last second of usage is lost, nothing is counted twice, the store opens. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { Store } from '../../src/hub/store/store.ts'

const dist = join(import.meta.dirname, '../../dist')
const homes: string[] = []
afterEach(async () => {
  for (const home of homes.splice(0)) await rm(home, { recursive: true, force: true })
})

/** Lives for `ms` after its first row, is killed, and tells how many rows it recorded, and by when. */
async function liveAndDie(home: string, ms: number): Promise<{ total: number; aSecondBefore: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'store-life.mjs'), dist, home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const exited = once(child, 'exit')
  const first = await Promise.race([once(child.stdout, 'data'), exited.then(() => null)])
  expect(first, 'the store did not start').not.toBeNull()
  await new Promise((resolve) => setTimeout(resolve, ms))
  const killedAt = Date.now()
  child.kill('SIGKILL')
  await exited
  const said = text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' ').map(Number) as [number, number])
  const early = said.filter(([time]) => time < killedAt - 1000)
  return { total: said.at(-1)?.[1] ?? 0, aSecondBefore: early.at(-1)?.[1] ?? 0 }
}

test('a store killed again and again, also while its database is made, opens and has counted right', async () => {
  const home = await mkdtemp(join(tmpdir(), 'holon-kill-'))
  homes.push(home)
  let most = 0
  let least = 0
  // The first lives end while the database is still being made; later ones while it opens, loads and idles.
  for (const ms of [300, 1500, 2500, 9000, 200, 1200, 2000, 2700, 3300]) {
    const life = await liveAndDie(home, ms)
    most += life.total
    least += life.aSecondBefore
  }
  const store = new Store({ home, databaseUrl: undefined, clock: systemClock, log: silentLog })
  await store.start()
  const [row] = await store.usage()
  await store.close()
  expect(row?.requests).toBeGreaterThanOrEqual(least)
  // The last row said may have been recorded without having been said.
  expect(row?.requests).toBeLessThanOrEqual(most + 9 * 5)
  expect(least).toBeGreaterThan(1000)
  expect((await readdir(join(home, 'store'))).filter((name) => name.includes('broken'))).toEqual([])
}, 120_000)
