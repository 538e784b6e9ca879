import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import { MB } from '../../core/units.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import { shareInstallation } from '../shared/install-lock.ts'
import { runNpm } from '../shared/npm.ts'
import { findNative, type PackRecord, packFolder, recordName, thisMachine } from './detect.ts'
import { choosePackage, type PackPackage, packVersion } from './packages.ts'

export interface InstallOptions {
  onProgress: (progress: LoadProgress) => void
  signal: AbortSignal
}

/**
 * Fetches the pack for this machine into HOLON_HOME, once: into a folder beside its place, checked, then renamed,
 * so that a cut leaves nothing half done. Returns the addon's path; at once when it is already here.
 * @throws HolonError engine_unavailable, engine_install_failed, checksum_mismatch, disk_full
 */
export async function installEmbedded(home: Home, options: InstallOptions): Promise<string> {
  const wanted = choosePackage(thisMachine())
  if (!wanted) {
    throw new HolonError(
      'engine_unavailable',
      `There is no engine pack for ${process.platform} on ${process.arch}.`,
      { hint: 'Install llama.cpp (`holon engines install llama.cpp`) or attach another engine.' },
    )
  }
  const here = findNative(home, wanted)
  if (here) return here
  const lock = join(home.engines, `.embedded-${packVersion}.lock`)
  await shareInstallation(lock, options.signal, async () => {
    if (!findNative(home, wanted)) await fetchPack(home, wanted, options)
  })
  const native = findNative(home, wanted)
  if (!native) throw new HolonError('engine_install_failed', 'The engine pack was fetched but is not whole.')
  return native
}

async function fetchPack(home: Home, wanted: PackPackage, options: InstallOptions): Promise<void> {
  const phase = `fetching the engine pack (${Math.round(wanted.bytes / MB)} MB)`
  options.onProgress({ phase, percent: 0, etaS: null })
  mkdirSync(home.engines, { recursive: true })
  removeLeftovers(home)
  const temporary = await mkdtemp(join(home.engines, `.embedded-${packVersion}.part-`))
  const stopWatching = watchSize(temporary, wanted.bytes, phase, options.onProgress)
  try {
    writeManifests(temporary, wanted)
    const flags = ['--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await runNpm(['ci', ...flags], temporary, options.signal)
    writeRecord(temporary, wanted)
    const place = packFolder(home)
    rmSync(place, { recursive: true, force: true })
    renameSync(temporary, place)
    options.onProgress({ phase, percent: 100, etaS: 0 })
  } finally {
    stopWatching()
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** A killed installation leaves its folder; nobody else is installing while we hold the lock. */
function removeLeftovers(home: Home): void {
  for (const name of readdirSync(home.engines)) {
    if (name.startsWith(`.embedded-${packVersion}.part-`)) {
      rmSync(join(home.engines, name), { recursive: true, force: true })
    }
  }
}

/** A lock file with the known checksum makes npm itself refuse other bytes. */
export function writeManifests(folder: string, wanted: PackPackage): void {
  const manifest = {
    name: 'holon-engine-pack',
    version: packVersion,
    private: true,
    dependencies: { [wanted.name]: packVersion },
  }
  const locked = { version: packVersion, ...(wanted.integrity ? { integrity: wanted.integrity } : {}) }
  const lock = {
    name: manifest.name,
    version: packVersion,
    lockfileVersion: 3,
    requires: true,
    packages: { '': manifest, [`node_modules/${wanted.name}`]: locked },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock))
}

function writeRecord(folder: string, wanted: PackPackage): void {
  const native = join('node_modules', wanted.name, wanted.folder, 'llama-addon.node')
  const file = join(folder, native)
  if (!existsSync(file)) {
    throw new HolonError('engine_install_failed', `The engine pack holds no ${native}.`)
  }
  const record: PackRecord = {
    package: wanted.name,
    version: packVersion,
    integrity: wanted.integrity ?? 'as the registry says',
    native,
    nativeBytes: statSync(file).size,
  }
  writeFileSync(join(folder, recordName), JSON.stringify(record, null, 2))
}

const watchMs = 500

/** npm tells no progress to programs: the growing folder does. */
function watchSize(
  folder: string,
  expected: number,
  phase: string,
  onProgress: InstallOptions['onProgress'],
): () => void {
  const started = Date.now()
  let last = 0
  const timer = setInterval(async () => {
    const size = await folderBytes(folder)
    const percent = Math.min(99, Math.floor((size / expected) * 100))
    if (percent <= last) return
    last = percent
    const elapsed = (Date.now() - started) / 1000
    onProgress({ phase, percent, etaS: percent > 5 ? (elapsed / percent) * (100 - percent) : null })
  }, watchMs)
  timer.unref()
  return () => clearInterval(timer)
}

async function folderBytes(folder: string): Promise<number> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    const sizes = await Promise.all(
      files.map((file) => stat(join(file.parentPath, file.name)).then((found) => found.size)),
    )
    return sizes.reduce((a, b) => a + b, 0)
  } catch {
    // Files come and go while npm works.
    return 0
  }
}
