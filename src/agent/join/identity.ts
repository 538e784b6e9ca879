/** Who this machine is to its hub: one small file that only its owner can read. The credential in it is never shown. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'

const identitySchema = z.object({
  /** Address of the hub, without a slash at its end. */
  hub: z.string(),
  nodeId: z.string(),
  name: z.string(),
  credential: z.string(),
})
export type NodeIdentity = z.infer<typeof identitySchema>

const pathOf = (home: Home) => join(home.root, 'node.json')

/** Null when this machine has joined nothing. @throws HolonError config_invalid for a file that is damaged */
export function readIdentity(home: Home): NodeIdentity | null {
  let text: string
  try {
    text = readFileSync(pathOf(home), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    return identitySchema.parse(JSON.parse(text))
  } catch {
    throw new HolonError('config_invalid', `${pathOf(home)} is damaged.`, {
      hint: 'Delete it and join again.',
    })
  }
}

/** Written beside and moved into place, so that a power cut leaves the old one or the new one. */
export function writeIdentity(home: Home, identity: NodeIdentity): void {
  mkdirSync(home.root, { recursive: true, mode: 0o700 })
  const draft = `${pathOf(home)}.new`
  writeFileSync(draft, `${JSON.stringify(identity, null, 2)}\n`, { mode: 0o600, flush: true })
  // A draft that a crash left may have been made with other rights.
  chmodSync(draft, 0o600)
  renameSync(draft, pathOf(home))
}

/** True when there was one. */
export function removeIdentity(home: Home): boolean {
  const there = readable(home)
  rmSync(pathOf(home), { force: true })
  rmSync(`${pathOf(home)}.new`, { force: true })
  return there
}

function readable(home: Home): boolean {
  try {
    return readIdentity(home) !== null
  } catch {
    return true
  }
}
