// npm run docs:claims: writes docs/claims.md and docs/concepts/pooling.md from the planner.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const build = spawnSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(build.status ?? 1)
const { claimsPage } = await import('../../dist/bench/claims/main.js')
const { poolingPage } = await import('../../dist/bench/claims/pooling.js')
writeFileSync('docs/claims.md', claimsPage())
writeFileSync('docs/concepts/pooling.md', poolingPage())
process.stdout.write('docs/claims.md\ndocs/concepts/pooling.md\n')
