/** What commonly breaks, looked at, with what to do about it. Facts are gathered here; every judgement is a pure check. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { CertificateFiles } from '../../core/certificate.ts'
import type { Home } from '../../core/home.ts'
import type { MachineProfile } from '../../protocol/machine.ts'
import { runCommand } from '../run-command.ts'
import type { Check } from './check.ts'
import { type ClockFacts, checkClock } from './clock.ts'
import { checkEngines } from './engines.ts'
import { checkHubLink, readHubLink } from './hub-link.ts'
import { checkLock, type LockFacts } from './lock.ts'
import { checkMemory, checkWiredLimit } from './memory.ts'
import { checkNodeVersion } from './node-version.ts'
import { checkOpenFiles, readOpenFilesLimit } from './open-files.ts'
import { checkPort, readPortFacts } from './port.ts'
import { checkRosetta } from './rosetta.ts'
import { checkDisk, checkHome, readHomeFacts } from './storage.ts'
import { checkTls, readTls } from './tls.ts'

export type { Check } from './check.ts'

export interface DoctorOptions {
  home: Home
  host: string
  port: number
  /** What the hub of this machine serves TLS with; null without. */
  tls: CertificateFiles | null
  /** The hub this machine belongs to, when it is another machine's. */
  hubUrl: string | null
  lock: LockFacts
  profile: MachineProfile
}

/** Takes a second or two at the most. Sends nothing but a connection attempt and one GET to the hub, when there is one. */
export async function runDoctor(options: DoctorOptions): Promise<Check[]> {
  const { profile } = options
  const [home, port, tls, hubLink, wiredLimit, newestFileMs] = await Promise.all([
    readHomeFacts(options.home.root),
    readPortFacts(options.host, options.port),
    readTls(options.tls, options.host),
    readHubLink(options.hubUrl),
    profile.os.platform === 'darwin' ? readWiredLimit() : null,
    newestFile(options.home),
  ])
  const hub = hubLink?.hub?.outcome === 'open' ? await askHubTime(hubLink.url) : null
  const machine = { ...profile.os, osVersion: profile.os.version, totalBytes: profile.memory.totalBytes }
  const checks = [
    checkNodeVersion(process.versions.node),
    checkRosetta(process.platform, process.arch, profile.os.arch),
    checkLock(options.lock),
    checkPort(port, options.lock),
    ...checkTls(tls, Date.now()),
    checkHome(home),
    checkDisk(profile.disk),
    checkMemory(profile.memory),
    checkWiredLimit(machine, wiredLimit),
    ...checkEngines(profile),
    checkOpenFiles(readOpenFilesLimit()),
    checkClock({ nowMs: Date.now(), hub, newestFileMs }),
    checkHubLink(hubLink),
  ]
  return checks.filter((check) => check !== null)
}

async function readWiredLimit(): Promise<number | null> {
  const text = await runCommand('sysctl', ['-n', 'iogpu.wired_limit_mb'])
  return /^\d+$/.test(text?.trim() ?? '') ? Number(text) : null
}

/** The hub's clock, from the Date header that every answer has. */
async function askHubTime(url: string): Promise<ClockFacts['hub']> {
  const started = Date.now()
  try {
    const answer = await fetch(new URL('/health', url), { signal: AbortSignal.timeout(2000) })
    await answer.body?.cancel()
    const nowMs = Date.parse(answer.headers.get('date') ?? '')
    return Number.isNaN(nowMs) ? null : { nowMs, roundTripMs: Date.now() - started }
  } catch {
    return null
  }
}

/** When something was last written to the folders that Holon writes to all the time. */
async function newestFile(home: Home): Promise<number | null> {
  const folders = [home.run, home.logs, home.store, home.cache]
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => [])
      return Promise.all(names.slice(0, 200).map((name) => stat(join(folder, name)).catch(() => null)))
    }),
  )
  const times = lists.flat().flatMap((entry) => (entry ? [entry.mtimeMs] : []))
  return times.length === 0 ? null : Math.max(...times)
}
