import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/** Engines outlive a test run here; `scripts/test.mjs` builds llama.cpp into the same place. */
export const sharedHome = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon')

/** A fresh HOLON_HOME whose engines are the shared ones, so that no test waits for a download twice. */
export function makeTestHome(): { root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'holon-home-'))
  mkdirSync(join(sharedHome, 'engines'), { recursive: true })
  symlinkSync(join(sharedHome, 'engines'), join(root, 'engines'), 'dir')
  return { root, remove: () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }) }
}
