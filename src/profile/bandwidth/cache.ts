/** Measured bandwidth, kept: it takes seconds and loads every core, and a machine's memory does not change. */
import { createHash } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Home } from '../../core/home.ts'
import { bandwidth, type MachineProfile } from '../../protocol/machine.ts'
import { readText } from '../read-text.ts'

/** What tells machines apart that share a HOLON_HOME over the network, or one that got other memory. */
export interface MachineIdentity {
  hostname: string
  chip: string
  logicalCores: number
  totalBytes: number
}

const file = z.object({ version: z.literal(1), bandwidth: z.array(bandwidth) })

function pathFor(home: Home, machine: MachineIdentity): string {
  const gib = Math.round(machine.totalBytes / 2 ** 30)
  const identity = [machine.hostname, machine.chip, machine.logicalCores, gib].join('\n')
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, 16)
  return join(home.cache, `bandwidth-${digest}.json`)
}

/** What was measured on this machine before; empty when nothing was, or what lies there cannot be read. */
export async function cachedBandwidth(
  home: Home,
  machine: MachineIdentity,
): Promise<MachineProfile['bandwidth']> {
  const text = await readText(pathFor(home, machine))
  try {
    return file.parse(JSON.parse(text ?? '')).bandwidth
  } catch {
    return []
  }
}

export async function keepBandwidth(
  home: Home,
  machine: MachineIdentity,
  measured: MachineProfile['bandwidth'],
): Promise<void> {
  const path = pathFor(home, machine)
  await mkdir(home.cache, { recursive: true })
  const draft = `${path}.${process.pid}.new`
  await writeFile(draft, JSON.stringify({ version: 1, bandwidth: measured } satisfies z.infer<typeof file>))
  await rename(draft, path)
}
