import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import {
  type Machine,
  parseMachines,
  pipelinePlacement,
  readRequest,
  soloPlacement,
  tensorPlacement,
} from '../planner/index.ts'
import { validate } from './validate/index.ts'

/**
 * How fast the planner is: 10,000 placements of one request over 100 machines, and the validation of the calibration
 * rows. Run after a build: `node dist/bench/planner-bench.js [calibration.csv]`. One core, wall time.
 */

export interface PlannerBench {
  placements: number
  machines: number
  planSeconds: number
  validateRows: number
  validateSeconds: number
}

/** Every machine alone, every pair, and pools around them, until 10,000 placements are made. */
export function planMany(machines: readonly Machine[], wanted: number): number {
  const request = readRequest({ model: 'llama-3.3-70b', link: 'tb5-rdma' })
  let made = 0
  for (let offset = 1; made < wanted; offset++) {
    for (let i = 0; i < machines.length && made < wanted; i++) {
      const pair = [machines[i]!, machines[(i + offset) % machines.length]!]
      if (offset === 1) soloPlacement(request, pair[0]!)
      else if (offset % 2 === 0) pipelinePlacement(request, pair)
      else tensorPlacement(request, pair)
      made++
    }
  }
  return made
}

export function benchPlanner(csv: string): PlannerBench {
  const machines = parseMachines(
    '20x m3-ultra-80c:512gb, 20x m4-max-40c:128gb, 20x m4-pro-20c:64gb, 20x rtx-4090, 20x dgx-spark-gb10:128gb',
  )
  planMany(machines, 500)
  const started = performance.now()
  const placements = planMany(machines, 10_000)
  const planSeconds = (performance.now() - started) / 1000
  const text = readFileSync(csv, 'utf8')
  const before = performance.now()
  const report = validate(text)
  return {
    placements,
    machines: machines.length,
    planSeconds,
    validateRows: report.rows,
    validateSeconds: (performance.now() - before) / 1000,
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(
    `${JSON.stringify(benchPlanner(process.argv[2] ?? 'calibration/calibration.csv'), null, 2)}\n`,
  )
}
