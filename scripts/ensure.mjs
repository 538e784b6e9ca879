/**
 * Makes a fresh clone runnable: installs what is missing, compiles what is stale, and says so.
 * Plain JavaScript on purpose: it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const windows = process.platform === 'win32'

export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['inherit', 2, 2], shell: windows, ...options })
  if (done.error) throw done.error
  return done.status ?? 1
}

function say(text) {
  process.stderr.write(`${text}\n`)
}

function stop(text, hint) {
  say(`error: ${text}\n\nhint: ${hint}`)
  process.exit(1)
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  stop(
    `Node ${process.versions.node} is too old; Holon needs 20.19 or newer.`,
    'install a newer Node: https://nodejs.org',
  )
}

/** Newest change below `folder`, in milliseconds; folders that hold build output are left out. */
function newest(folder) {
  let latest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue
    const path = join(folder, entry.name)
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs)
  }
  return latest
}

function install() {
  const stamp = join(root, 'node_modules', '.holon-installed')
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  say('Installing what Holon needs (once, about a minute) …')
  const status = run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'])
  if (status !== 0) stop('npm could not install the packages.', 'check the network and run the command again')
  writeFileSync(stamp, lock)
}

/** Builds `name` when its stamp is older than its sources. A failed build leaves no stamp. */
function buildWhenStale(name, stamp, sources, build) {
  const changed = Math.max(
    ...sources.map((path) => (statSync(path).isDirectory() ? newest(path) : statSync(path).mtimeMs)),
  )
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= changed) return
  say(`Building ${name} …`)
  rmSync(stamp, { force: true })
  if (build() !== 0) stop(`Building ${name} failed.`, 'the lines above say where')
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, '')
}

export function ensure() {
  checkNode()
  install()
  const bin = (name) => join(root, 'node_modules', '.bin', name)
  buildWhenStale(
    'Holon',
    join(root, 'dist', '.built'),
    [join(root, 'src'), join(root, 'tsconfig.json'), join(root, 'tsconfig.build.json')],
    () => run(bin('tsc'), ['-p', 'tsconfig.build.json']),
  )
  buildWhenStale(
    'the page',
    join(root, 'web', 'dist', '.built'),
    [join(root, 'web'), join(root, 'src', 'protocol')],
    () => run(bin('vite'), ['build', '--logLevel', 'warn'], { cwd: join(root, 'web') }),
  )
}
