// npm run calibrate: fits the planner's constants anew and prints the cross-validated errors.
import { spawnSync } from 'node:child_process'

const build = spawnSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(build.status ?? 1)
const { calibrate } = await import('../../dist/bench/calibrate/main.js')
const report = calibrate(
  {
    csv: 'calibration/calibration.csv',
    constants: 'src/planner/constants.generated.ts',
    report: 'calibration/report.json',
    page: 'docs/reference/accuracy.md',
    readme: 'README.md',
  },
  (what) => process.stderr.write(`${what}\n`),
)
process.stdout.write(`${JSON.stringify(report, null, 1)}\n`)
