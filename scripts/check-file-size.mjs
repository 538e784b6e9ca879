/**
 * No source file over 400 lines: a longer one holds two concerns. Data and generated files are exempt by name here,
 * each with its reason. Usage: check-file-size.mjs [folder], which exits 1 and lists the offenders.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { root } from './ensure.mjs'

const limit = 400
const rooms = ['src', 'web/src', 'test', 'scripts', 'tools']
const kinds = /\.(ts|mjs|cjs|js|svelte|py|css)$/
const exempt = new Set([
  'src/planner/constants.generated.ts', // written by `npm run calibrate`
])

function* files(folder) {
  let entries
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch {
    return
  }
  for (const entry of entries) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* files(path)
    else if (kinds.test(entry.name)) yield path
  }
}

const base = process.argv[2] ?? root
const tooLong = []
for (const room of rooms) {
  for (const path of files(join(base, room))) {
    const name = relative(base, path).split(sep).join('/')
    const lines = readFileSync(path, 'utf8').split('\n').length - 1
    if (lines > limit && !exempt.has(name)) tooLong.push(`${name}: ${lines} lines (at most ${limit})`)
  }
}
if (tooLong.length > 0) {
  process.stderr.write(`${tooLong.join('\n')}\n`)
  process.exit(1)
}
