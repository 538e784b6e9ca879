/**
 * `npm test`: the whole suite that needs only npm. `npm run test:all` adds test/all: what must be built or installed
 * by the system (llama-server and ggml-rpc-server, Chromium, PostgreSQL), which it gets first where it can.
 * Further arguments go to vitest. The last line tells the counts, for people and for CI.
 *
 * test:all looks again, alone, at the few files that failed among the others, and names those that then pass: see
 * docs/decisions/0022-second-look.md.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join, relative } from 'node:path'
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
const vitest = join(root, 'node_modules', '.bin', 'vitest')

/** @returns how vitest ended, the counts, and the files that failed, relative to the root */
function look(name, args) {
  const report = join(folder, `${name}.json`)
  const { status } = spawnSync(
    vitest,
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args],
    {
      cwd: root,
      stdio: 'inherit',
      shell: process.platform === 'win32',
      env: { ...process.env, ...(all ? { HOLON_TEST: 'all' } : {}) },
    },
  )
  const told = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {}
  const { numPassedTests: passed = 0, numFailedTests: failed = 0, numPendingTests: skipped = 0 } = told
  const files = (told.testResults ?? []).filter((file) => file.status === 'failed').map((file) => file.name)
  return { status: status ?? 1, passed, failed, skipped, files: files.map((file) => relative(root, file)) }
}

/** More than these are no accident. */
const mostUnsteady = 3

let { status, passed, failed, skipped, files } = look('all', rest)
if (all && status !== 0 && files.length > 0 && files.length <= mostUnsteady) {
  process.stdout.write(`\nLooking again, alone, at ${files.join(', ')} …\n`)
  const again = look('again', ['--no-file-parallelism', ...files])
  passed += failed - again.failed
  failed = again.failed
  status = again.status
  for (const file of files.filter((each) => !again.files.includes(each)))
    process.stdout.write(`unsteady: ${file} failed among the others and passes alone: find out why\n`)
}
rmSync(folder, { recursive: true, force: true })
process.stdout.write(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exit(status)
