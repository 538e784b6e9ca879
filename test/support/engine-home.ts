import { mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Home, homeAt } from '../../src/core/home.ts'

/**
 * A fresh HOLON_HOME that shares its engines with other test runs, so that an engine pack is fetched once per
 * machine and not once per test. Call `remove` when done.
 */
export function testHome(): Home & { remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'holon-home-'))
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon')
  return {
    ...homeAt(root),
    engines: join(cache, 'engines'),
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}
