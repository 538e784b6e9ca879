// npm run docs:claims: writes docs/claims.md and docs/concepts/pooling.md from the planner.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const build = spawnSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(build.status ?? 1)
const { claimsPages } = await import('../../dist/bench/claims/main.js')
for (const [path, text] of Object.entries(claimsPages())) {
  writeFileSync(path, text)
  process.stdout.write(`${path}\n`)
}
