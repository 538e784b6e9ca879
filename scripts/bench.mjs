/**
 * `npm run bench`: every figure the README quotes, one bench after the other. `npm run bench -- engines start` runs
 * only those. Machines are noisy: read the ratios within one run.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ensure, root, run } from './ensure.mjs'

const benches = {
  hub: 'hub-overhead.js',
  engines: 'engines-bench.js',
  start: 'start-bench.js',
  plan: 'planner-bench.js',
  tunnel: 'tunnel-bench.js',
  choice: '../hub/choice-bench.js',
  gateways: 'gateways.js',
  wire: 'wire-bench.js',
  pool: 'pool-bench.js',
  links: 'links-bench.js',
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !(name in benches))
if (unknown.length > 0) {
  process.stderr.write(
    `error: there is no bench called ${unknown.join(', ')}\n\nhint: there are ${Object.keys(benches).join(', ')}\n`,
  )
  process.exit(2)
}
ensure()
const home = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon')
if (!existsSync(join(home, 'engines')))
  process.stderr.write('llama-server is not installed: `npm run test:all` builds it.\n')
/** What a bench ends with that this machine cannot run: no root, no namespaces. Asked for by name, that is a failure. */
const cannotRun = 69
let failed = 0
for (const [name, file] of Object.entries(benches)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  process.stdout.write(`\n== ${name}\n`)
  const status = run(process.execPath, [join(root, 'dist', 'bench', file)], { stdio: ['ignore', 1, 2] })
  if (status !== 0 && (status !== cannotRun || asked.length > 0)) failed += 1
}
process.exit(failed === 0 ? 0 : 1)
