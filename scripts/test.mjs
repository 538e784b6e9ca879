/**
 * `npm test`: the whole suite that needs only npm. `npm run test:all` adds test/all: what must be built or installed
 * by the system (llama-server and ggml-rpc-server, Chromium, PostgreSQL), which it gets first where it can.
 * Further arguments go to vitest. The last line tells the counts, for people and for CI.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { ensure, root, run } from './ensure.mjs'

/** Engines are kept here between runs; tests use fresh homes that link to its engines. */
const sharedHome = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon')

const all = process.argv.includes('--all')
const rest = process.argv.slice(2).filter((argument) => argument !== '--all')

const onPath = (name) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)))

function stop(text, hint) {
  process.stderr.write(`error: ${text}\n\nhint: ${hint}\n`)
  process.exit(1)
}

/** Debian packages that tests use (all but lsof's are in test/all), and the file that tells whether each is there. */
const systemPackages = [
  { apt: 'chromium', there: () => onPath('chromium') || onPath('google-chrome') },
  { apt: 'postgresql', there: () => onPath('pg_ctl') || existsSync('/usr/lib/postgresql') },
  { apt: 'nginx-light', there: () => onPath('nginx') || existsSync('/usr/sbin/nginx') },
  { apt: 'cmake', there: () => onPath('cmake') },
  { apt: 'ninja-build', there: () => onPath('ninja') },
  { apt: 'g++', there: () => onPath('g++') || onPath('clang++') },
  { apt: 'lsof', there: () => onPath('lsof') },
]

function installSystemPackages() {
  const missing = systemPackages.filter((each) => !each.there()).map((each) => each.apt)
  if (missing.length === 0) return
  const root = process.getuid?.() === 0
  if (!root || !onPath('apt-get'))
    stop(
      `test:all needs ${missing.join(', ')}.`,
      `install them, e.g. sudo apt-get install ${missing.join(' ')}`,
    )
  process.stderr.write(`Installing ${missing.join(', ')} …\n`)
  const quiet = { stdio: ['ignore', 'ignore', 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  run('apt-get', ['update', '-qq'], quiet)
  if (run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], quiet) !== 0) {
    stop('apt-get could not install them.', 'the lines above say why')
  }
}

ensure()
if (all) {
  installSystemPackages()
  process.stderr.write('Getting llama.cpp (built once, about 15 minutes on two cores; cached after that) …\n')
  if (
    run(process.execPath, ['dist/cli/main.js', 'engines', 'install', 'llama.cpp'], {
      env: { ...process.env, HOLON_HOME: sharedHome },
    }) !== 0
  )
    process.exit(1)
}

const folder = mkdtempSync(join(tmpdir(), 'holon-test-'))
const report = join(folder, 'report.json')
const vitest = join(root, 'node_modules', '.bin', 'vitest')
const done = spawnSync(
  vitest,
  ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...rest],
  {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...process.env, ...(all ? { HOLON_TEST: 'all' } : {}) },
  },
)
const counts = existsSync(report)
  ? JSON.parse(readFileSync(report, 'utf8'))
  : { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 }
rmSync(folder, { recursive: true, force: true })
process.stdout.write(
  `tests: ${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${counts.numPendingTests} skipped\n`,
)
process.exit(done.status ?? 1)
