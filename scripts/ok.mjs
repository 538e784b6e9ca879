/** The fast gate before a commit: types, lint and format, arrows, file size, dead code, unit tests. */
import { join } from 'node:path'
import { ensure, root, run } from './ensure.mjs'

ensure()
const bin = (name) => join(root, 'node_modules', '.bin', name)
const steps = [
  ['types', bin('tsc'), ['--noEmit']],
  [
    'page types',
    bin('svelte-check'),
    ['--workspace', 'web', '--tsconfig', './tsconfig.json', '--output', 'human'],
  ],
  ['lint and format', bin('biome'), ['check', '--error-on-warnings', '.']],
  [
    'arrows between rooms',
    bin('depcruise'),
    ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err'],
  ],
  ['file size', process.execPath, ['scripts/check-file-size.mjs']],
  ['dead code', bin('knip'), []],
  ['unit tests', bin('vitest'), ['run', 'src', 'web', 'test/checkers', '--reporter=dot']],
]
for (const [name, command, args] of steps) {
  const started = Date.now()
  const status = run(command, args, { stdio: ['ignore', 2, 2] })
  process.stderr.write(
    `${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`,
  )
  if (status !== 0) process.exit(1)
}
