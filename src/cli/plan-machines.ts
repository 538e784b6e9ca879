import { asHolonError } from '../core/errors.ts'
import { silentLog } from '../core/log.ts'
import { createDrivers } from '../engines/index.ts'
import { chips } from '../facts/index.ts'
import { type Machine, machineFromProfile, parseMachines } from '../planner/index.ts'
import { profileMachine } from '../profile/profile-machine.ts'
import type { MachineProfile } from '../protocol/machine.ts'
import type { NodeState } from '../protocol/node.ts'
import type { Cli } from './shell.ts'

/**
 * The machines a plan is for: hardware by name, nodes of the running fleet by name, or this machine. Without a wish
 * it is the whole fleet when a hub runs here, else this machine.
 */
export async function planMachines(cli: Cli, on: string | undefined): Promise<Machine[]> {
  if (on === undefined) {
    const fleet = await fleetNodes(cli)
    const known = fleet.filter((node) => node.profile !== null)
    if (known.length > 0)
      return known.map((node) => machineFromProfile(node.profile as MachineProfile, node.name))
    return [await thisMachine(cli)]
  }
  const machines: Machine[] = []
  let fleet: NodeState[] | null = null
  for (const part of on
    .split(',')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '')) {
    if (part === 'this') {
      machines.push(await thisMachine(cli))
      continue
    }
    if (/^[\w.-]+$/.test(part)) {
      fleet ??= await fleetNodes(cli)
      const node = fleet.find((candidate) => candidate.name === part || candidate.id === part)
      if (node?.profile) {
        machines.push(machineFromProfile(node.profile, node.name))
        continue
      }
    }
    for (const machine of parseMachines(part)) {
      const taken = machines.filter((other) => other.id === machine.id).length
      machines.push(taken > 0 ? { ...machine, id: `${machine.id} (${taken + 1})` } : machine)
    }
  }
  return machines
}

async function thisMachine({ config }: Cli): Promise<Machine> {
  const { home } = config()
  const drivers = createDrivers({ home, log: silentLog })
  return machineFromProfile(await profileMachine({ home, drivers, chips, measure: false }), 'this')
}

async function fleetNodes({ hub }: Cli): Promise<NodeState[]> {
  try {
    return (await hub().get<{ nodes: NodeState[] }>('/fleet/v1/nodes')).nodes
  } catch (thrown) {
    if (asHolonError(thrown).code === 'not_running') return []
    throw thrown
  }
}
