import { asHolonError } from '../core/errors.ts'
import { silentLog } from '../core/log.ts'
import { createDrivers } from '../engines/index.ts'
import { chips } from '../facts/index.ts'
import { type Machine, machineFromProfile, type Pace, parseMachines } from '../planner/index.ts'
import { profileMachine } from '../profile/profile-machine.ts'
import type { NodeState } from '../protocol/node.ts'
import type { Paces } from '../protocol/paces.ts'
import type { Cli } from './shell.ts'

/**
 * The machines a plan is for: hardware by name, nodes of the running fleet by name, or this machine. Without a wish
 * it is the whole fleet when a hub runs here, else this machine. Of nodes it is known how quick they turned out to be.
 * @param model what is planned for, as the fleet may know it; null for models of any kind
 */
export async function planMachines(
  cli: Cli,
  on: string | undefined,
  model: string | null,
): Promise<Machine[]> {
  if (on === undefined) {
    const nodes = await fleetNodes(cli)
    const machines = await asMachines(cli, nodes, model)
    return machines.length > 0 ? machines : [await thisMachine(cli)]
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
      const named = fleet.filter((candidate) => candidate.name === part || candidate.id === part)
      const [node] = await asMachines(cli, named, model)
      if (node) {
        machines.push(node)
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

/** Those that told their hardware. */
async function asMachines(
  { hub }: Cli,
  nodes: readonly NodeState[],
  model: string | null,
): Promise<Machine[]> {
  if (nodes.every(({ profile }) => profile === null)) return []
  const { paces } = await hub().post<{ paces: Paces }>('/fleet/v1/paces', { model })
  return nodes.flatMap(({ id, name, profile }) => {
    const pace: Pace | null = paces.find(({ node }) => node === id) ?? null
    return profile === null ? [] : [{ ...machineFromProfile(profile, name), pace }]
  })
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
