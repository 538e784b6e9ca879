import { basename } from 'node:path'
import { formatBytes } from '../core/units.ts'
import { bestModelFor, machineFromProfile } from '../planner/index.ts'
import type { MachineProfile } from '../protocol/machine.ts'
import type { NodeState } from '../protocol/node.ts'

/**
 * What to do next while only the demonstration model is there: the best real model for this machine, by the planner.
 * A line for each sentence, so that a terminal does not break the command that is to be copied.
 * Null when there is a real model already.
 */
export function adviceFor(node: NodeState): string | null {
  if (node.models.some((model) => !model.demo && model.problem === null)) return null
  const holon = commandOf(process.argv[1])
  const plain = 'holon-demo is a demonstration: a few MB that know a little about Holon and nothing else.'
  return `${plain}\n${bestPull(node.profile, holon) ?? `For a real model run \`${holon} pull OWNER/REPO\`.`}`
}

/** What to type: the file of a clone, which nothing has put on the PATH, or the command that npm installed. */
function commandOf(program = ''): string {
  return basename(program) === 'holon.mjs' ? './holon' : 'holon'
}

function bestPull(profile: MachineProfile | null, holon: string): string | null {
  const best = profile && bestModelFor(machineFromProfile(profile), { asGguf: true })
  if (!best?.ggufRepo) return null
  const { expected } = best.decodeTokS
  const speed = expected >= 10 ? expected.toFixed(0) : expected.toFixed(1)
  const what = `${best.modelId} at ${best.quant}, ${formatBytes(best.weightsBytes)}, about ${speed} tok/s by the planner`
  return `The best real model for this machine is ${what}.\nGet it with \`${holon} pull ${best.ggufRepo}:${best.quant}\`.`
}
