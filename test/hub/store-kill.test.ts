/** kill -9 at any moment: nothing is lost that was on disk, nothing is counted twice, the store opens. */
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

/** Lives for `ms` after its first row, and until `atLeast` are on disk; is killed, and tells how many it recorded and had there. */
async function liveAndDie(
  home: string,
  ms: number,
  atLeast: number,
): Promise<{ said: number; onDisk: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'store-life.mjs'), dist, home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const last = (word: string) =>
    Math.max(
      0,
      ...text
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith(word))
        .map(numberIn),
    )
  const exited = once(child, 'exit')
  const first = await Promise.race([once(child.stdout, 'data'), exited.then(() => null)])
  expect(first, 'the store did not start').not.toBeNull()
  await new Promise((resolve) => setTimeout(resolve, ms))
  await expect.poll(() => last('disk')).toBeGreaterThanOrEqual(atLeast)
  child.kill('SIGKILL')
  await exited
  return { said: last('said'), onDisk: last('disk') }
}

const numberIn = (line: string): number => Number(line.split(' ')[1])

test('a store killed again and again, also while its database is made, opens and has counted right', async () => {
  const home = await mkdtemp(join(tmpdir(), 'holon-kill-'))
  homes.push(home)
  let most = 0
  let least = 0
  const longestMs = 9000
  // The first lives end while the database is still being made; later ones while it opens, loads and idles.
  for (const ms of [300, 1500, 2500, longestMs, 200, 1200, 2000, 2700, 3300]) {
    const life = await liveAndDie(home, ms, ms === longestMs ? 500 : 0)
    most += life.said
    least += life.onDisk
  }
  const store = new Store({ home, databaseUrl: undefined, clock: systemClock, log: silentLog })
  await store.start()
  const [row] = await store.usage()
  await store.close()
  expect(row?.requests).toBeGreaterThanOrEqual(least)
  // The last row said may have been recorded without having been said.
  expect(row?.requests).toBeLessThanOrEqual(most + 9 * 5)
  expect((await readdir(join(home, 'store'))).filter((name) => name.includes('broken'))).toEqual([])
}, 120_000)
