import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** Every checker of the gate must see a seeded violation: one that sees nothing passes everything. */
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
let house = ''

beforeEach(() => {
  house = mkdtempSync(join(tmpdir(), 'holon-gate-'))
  for (const name of [
    'package.json',
    'tsconfig.json',
    'biome.json',
    'knip.json',
    '.dependency-cruiser.cjs',
  ]) {
    cpSync(join(root, name), join(house, name))
  }
  symlinkSync(join(root, 'node_modules'), join(house, 'node_modules'))
})
afterEach(() => rmSync(house, { recursive: true, force: true }))

function put(path: string, text: string) {
  mkdirSync(dirname(join(house, path)), { recursive: true })
  writeFileSync(join(house, path), text)
}

function check(tool: string, args: string[]) {
  const done = spawnSync(join(root, 'node_modules', '.bin', tool), args, { cwd: house, encoding: 'utf8' })
  return { status: done.status, output: done.stdout + done.stderr }
}

const cruise = () =>
  check('depcruise', ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err'])

test('the arrows between rooms: a clean house passes, and modules were seen', () => {
  put('src/core/a.ts', 'export const a = 1\n')
  put('src/planner/b.ts', "import { a } from '../core/a.ts'\nexport const b = a\n")
  const result = cruise()
  expect(result.output).toMatch(/2 modules/)
  expect(result.status).toBe(0)
})

const violations = [
  ['arrows-core', 'src/core/x.ts', '../planner/y.ts'],
  ['arrows-planner', 'src/planner/x.ts', '../engines/y.ts'],
  ['arrows-hub', 'src/hub/x.ts', '../agent/y.ts'],
  ['arrows-agent', 'src/agent/x.ts', '../hub/y.ts'],
  ['arrows-engines', 'src/engines/x.ts', '../profile/y.ts'],
  ['arrows-formats', 'src/formats/x.ts', '../engines/z.ts'],
  ['pure-rooms', 'src/planner/io.ts', 'node:fs'],
  ['pure-rooms', 'src/hub/scheduler/x.ts', 'node:http'],
  ['sql-in-store', 'src/hub/gateway/x.ts', 'kysely'],
  ['terminal-in-printer', 'src/agent/term.ts', 'commander'],
] as const

test('the arrows between rooms: every rule sees its seeded violation', () => {
  for (const [, from, to] of violations) {
    put(from, `import * as y from '${to}'\nexport const x = y\n`)
    if (to.startsWith('.')) put(join(dirname(from), to), 'export const y = 1\n')
  }
  put('src/core/a.ts', "import { b } from './b.ts'\nexport const a = () => b\n")
  put('src/core/b.ts', "import { a } from './a.ts'\nexport const b = () => a\n")
  const result = cruise()
  const seen = stripVTControlCharacters(result.output)
  for (const [rule, from] of violations) expect(seen).toContain(`${rule}: ${from} →`)
  expect(seen).toContain('no-cycles: src/core/a.ts →')
  expect(result.status).not.toBe(0)
})

test('types: an error is seen', () => {
  put('src/core/a.ts', "export const a: number = 'one'\n")
  const result = check('tsc', ['--noEmit'])
  expect(result.output).toContain('TS2322')
  expect(result.status).not.toBe(0)
})

test('lint: any, console and a wrong format are seen', () => {
  put('src/core/a.ts', 'export const a = (x: any) => x\n')
  put('src/core/b.ts', "export const b = () => console.log('x')\n")
  put('src/core/c.ts', 'export const c = "double"\n')
  const result = check('biome', ['check', '--error-on-warnings', '.'])
  expect(result.output).toContain('noExplicitAny')
  expect(result.output).toContain('noConsole')
  expect(result.output).toMatch(/format/)
  expect(result.status).not.toBe(0)
})

test('file size: 401 lines are seen, 400 are not', () => {
  const script = join(root, 'scripts', 'check-file-size.mjs')
  const run = () => spawnSync(process.execPath, [script, house], { encoding: 'utf8' })
  put('src/core/long.ts', 'export {}\n'.repeat(400))
  expect(run().status).toBe(0)
  put('src/core/long.ts', 'export {}\n'.repeat(401))
  const result = run()
  expect(result.stderr).toContain('src/core/long.ts: 401 lines')
  expect(result.status).toBe(1)
})

test('dead code: an export nobody uses and a file nobody imports are seen', () => {
  put('src/cli/main.ts', "import { used } from '../core/a.ts'\nprocess.exitCode = used\n")
  put('src/core/a.ts', 'export const used = 1\nexport const unused = 2\n')
  put('src/core/alone.ts', 'export const alone = 1\n')
  const result = check('knip', ['--include', 'files,exports'])
  expect(result.output).toContain('unused')
  expect(result.output).toContain('src/core/alone.ts')
  expect(result.status).not.toBe(0)
})
