import { type Constants, constants as shipped } from './constants.ts'
import { type Engine, parseEngine } from './engine-name.ts'
import { type LayerSpread, spreadLayers, whyThisSpread } from './layer-spread.ts'
import { type LinkSpec, parseLink } from './link-name.ts'
import { gb, layerCapacity, type MachineMemory, roleOf, type Sized, sized } from './machine-memory.ts'
import { kindOf, type Machine, memberOf } from './machines.ts'
import { memoryUse } from './memory.ts'
import { paceText } from './pace.ts'
import { type PlanRequest, setupFor } from './request.ts'
import { memberDecodeTerms, spillShare } from './speed/decode.ts'
import { type Basis, decodeSpeed, prefillSpeed, type Range } from './speed/predict.ts'
import type { Setup } from './speed/setup.ts'
import { totalSeconds } from './speed/terms.ts'
import type { Stage } from './split.ts'

/** One way to place the model: on which machines, how split, whether it fits, how fast, and why. */
export interface Placement {
  id: string
  strategy: Setup['strategy']
  engine: string
  machines: string[]
  link: string | null
  fits: boolean
  whyNot: string | null
  /** Layers per machine, in the order of `machines`. */
  layers: number[]
  memory: MachineMemory[]
  decodeTokS: Range
  prefillTokS: Range
  ttftS: Range
  basis: Basis
  because: string[]
  /** The setup behind it, for explanations. */
  setup: Setup
  shares: number[]
}

const nothing: Range = { expected: 0, low: 0, high: 0 }
const llamaCpp = parseEngine('llama.cpp')
const llamaCppRpc = parseEngine('llama.cpp RPC')
const mlx = parseEngine('mlx')
const vllm = parseEngine('vllm')
const distributedLlama = parseEngine('distributed-llama')

/** The engine a placement would run on when nobody chose: what the field uses there. */
export function engineFor(
  request: PlanRequest,
  machines: readonly Machine[],
  strategy: Setup['strategy'],
): Engine {
  if (request.engine) return request.engine
  if (strategy === 'solo') return llamaCpp
  const allFrom = (vendor: string) => machines.every((machine) => machine.hardware.chip.vendor === vendor)
  if (request.link?.transport === 'rdma' && allFrom('Apple')) return mlx
  if (strategy === 'tensor') return allFrom('Apple') ? mlx : allFrom('NVIDIA') ? vllm : distributedLlama
  return llamaCppRpc
}

/** Time to the first token: the prompt, then one step. Slow ends meet slow ends. */
function firstToken(prefill: { seconds: number; tokS: Range }, stepSeconds: number): Range {
  const { expected, low, high } = prefill.tokS
  const at = (speed: number) => (prefill.seconds * expected) / speed + stepSeconds
  return { expected: at(expected), low: at(high), high: at(low) }
}

function finished(
  base: Pick<Placement, 'id' | 'strategy' | 'engine' | 'machines' | 'link' | 'layers' | 'because' | 'shares'>,
  setup: Setup,
  size: Sized,
  constants: Constants,
): Placement {
  if (!size.fits)
    return {
      ...base,
      ...size,
      setup,
      decodeTokS: nothing,
      prefillTokS: nothing,
      ttftS: nothing,
      basis: 'modelled',
    }
  const decode = decodeSpeed(setup, base.shares, constants)
  const prefill = prefillSpeed(setup, base.shares, constants)
  return {
    ...base,
    ...size,
    setup,
    decodeTokS: decode.tokS,
    prefillTokS: prefill.tokS,
    ttftS: firstToken(prefill, decode.seconds / 1),
    basis: decode.basis,
  }
}

export function soloPlacement(
  request: PlanRequest,
  machine: Machine,
  constants: Constants = shipped,
): Placement {
  const engine = engineFor(request, [machine], 'solo')
  const setup = setupFor(request, [machine], 'solo', engine, null)
  const size = sized(setup, [machine], [1], 1)
  const because = [
    size.whyNot ??
      `needs ${gb(size.memory[0]!.totalBytes)} of ${gb(machine.usable.limitBytes)} usable (${machine.usable.how})`,
  ]
  if (size.fits && spillShare(setup, setup.members[0]!) > 0)
    because.push('part of the weights would sit in main memory')
  because.push(...paceReasons([machine]))
  return finished(
    {
      id: `solo:${machine.id}`,
      strategy: 'solo',
      engine: engine.name,
      machines: [machine.id],
      link: null,
      layers: [request.model.layers],
      because,
      shares: [1],
    },
    setup,
    size,
    constants,
  )
}

const paceReasons = (machines: readonly Machine[]): string[] =>
  machines.flatMap(({ id, pace }) => paceText(id, pace) ?? [])

function stagesOf(setup: Setup, machines: readonly Machine[], link: LinkSpec, constants: Constants): Stage[] {
  const known = new Map<string, Stage>()
  return machines.map((machine, at) => {
    const role = roleOf(setup, at)
    const kind = `${kindOf(machine)}|${role}`
    const before = known.get(kind)
    if (before) return before
    const seconds = totalSeconds(memberDecodeTerms(setup, memberOf(machine), 1, 1), constants.decode)
    const stage = {
      secondsPerLayer: seconds / setup.model.layers,
      capacity: layerCapacity(setup, machine, role),
      fixedSeconds: link.latencyS + 1e-3,
    }
    known.set(kind, stage)
    return stage
  })
}

/** "40 on a, 20 on b"; many machines are named by the first few. */
function layersText(used: readonly { machine: Machine; layers: number }[]): string {
  const named = used.slice(0, 6).map((entry) => `${entry.layers} on ${entry.machine.id}`)
  return used.length > 6 ? `${named.join(', ')} and ${used.length - 6} more` : named.join(', ')
}

/** Every machine needs buffers of its own, and layers are not cut in pieces: the sum alone may look like enough. */
function tooLittleTogether(setup: Setup, machines: readonly Machine[]): string {
  const held = machines.reduce((sum, machine) => sum + machine.usable.limitBytes, 0)
  const buffers = memoryUse(setup, 0, 1).totalBytes * (machines.length - 1)
  const needed = memoryUse(setup, 1, 1).totalBytes + buffers
  const told = `together they hold ${gb(held)} for models and need ${gb(needed)}`
  return needed > held
    ? told
    : `${told}, but whole layers cannot be shared out so that each part fits its machine`
}

/** A layer split over the machines that earn their place; it does not fit when together they cannot hold the model. */
export function pipelinePlacement(
  request: PlanRequest,
  machines: readonly Machine[],
  constants: Constants = shipped,
  spread: LayerSpread = 'best',
): Placement {
  const engine = engineFor(request, machines, 'pipeline')
  const link = request.link ?? (parseLink('eth-10g') as LinkSpec)
  const draft = setupFor(request, machines, 'pipeline', engine, link)
  const stages = stagesOf(draft, machines, link, constants)
  const objective = request.parallel > 1 ? 'throughput' : 'latency'
  const { layers } = request.model
  const split = spreadLayers(spread, { layers, stages, machines, objective })
  const base = {
    id: `pipeline:${machines.map((machine) => machine.id).join('+')}`,
    strategy: 'pipeline' as const,
    engine: engine.name,
    link: link.name,
  }
  const leftOut = (used: number) =>
    used === machines.length
      ? []
      : [
          `${machines.length - used} of ${machines.length} machines are left out: they would only slow it down`,
        ]
  if (split?.[0] === 0 && roleOf(draft, 0) === 'head') {
    // Another is the head then, and needs the room of one.
    const others = machines.filter((_, at) => (split[at] ?? 0) > 0)
    const placement = pipelinePlacement(request, others, constants, spread)
    return { ...placement, id: base.id, because: [...placement.because, ...leftOut(others.length)] }
  }
  if (!split) {
    const shares = machines.map(() => 1 / machines.length)
    const size = sized(draft, machines, shares, 1)
    const whyNot = tooLittleTogether(draft, machines)
    return finished(
      { ...base, machines: machines.map((machine) => machine.id), layers: [], because: [whyNot], shares },
      draft,
      { ...size, fits: false, whyNot },
      constants,
    )
  }
  const used = machines
    .map((machine, i) => ({ machine, layers: split[i] as number }))
    .filter((entry) => entry.layers > 0)
  const members = used.map((entry) => entry.machine)
  const shares = used.map((entry) => entry.layers / request.model.layers)
  const setup = setupFor(
    request,
    members,
    members.length > 1 ? 'pipeline' : 'solo',
    engine,
    members.length > 1 ? link : null,
  )
  const size = sized(setup, members, shares, 1)
  const because = [
    `layers ${layersText(used)}: ${whyThisSpread(spread, objective)}`,
    'one request gains memory and no speed from a pipeline; if a member dies the pool stops and is rebuilt on what is left',
  ]
  because.push(...leftOut(members.length), ...paceReasons(members))
  return finished(
    {
      ...base,
      machines: members.map((machine) => machine.id),
      layers: used.map((entry) => entry.layers),
      because,
      shares,
    },
    setup,
    size,
    constants,
  )
}

/** Why a model cannot be cut n ways, or null when it can. */
export function tensorObstacle(request: PlanRequest, machines: readonly Machine[]): string | null {
  const n = machines.length
  const { model } = request
  if (machines.some((machine) => machine.hardware.chip.id !== machines[0]!.hardware.chip.id))
    return 'a tensor split wants equal machines: every layer would wait for the slowest'
  if (model.heads % n !== 0) return `${model.heads} attention heads do not divide by ${n}`
  if (model.hidden % n !== 0) return `the width ${model.hidden} does not divide by ${n}`
  if (model.kv.shards > 1 && model.kv.shards % n !== 0 && n % model.kv.shards !== 0)
    return `${model.kv.shards} KV heads do not divide by ${n}`
  return null
}

export function tensorPlacement(
  request: PlanRequest,
  machines: readonly Machine[],
  constants: Constants = shipped,
): Placement {
  const n = machines.length
  const engine = engineFor(request, machines, 'tensor')
  const link = request.link ?? (parseLink('eth-10g') as LinkSpec)
  const setup = setupFor(request, machines, 'tensor', engine, link)
  const obstacle = tensorObstacle(request, machines)
  const size = sized(
    setup,
    machines,
    machines.map(() => 1),
    n,
  )
  const because = obstacle
    ? [obstacle]
    : [
        `two all-reduces in each of ${request.model.layers} layers over ${link.name} (${Math.round(link.latencyS * 1e6)} us one way)`,
        'the fixed cost per layer is not divided, so small experts gain little; if a member dies the pool stops',
      ]
  if (link.transport === 'rdma' && n > 2 && /tb5/.test(link.id))
    because.push(`${n} Macs over Thunderbolt need a full mesh of cables`)
  because.push(...paceReasons(machines))
  return finished(
    {
      id: `tensor:${machines.map((machine) => machine.id).join('+')}`,
      strategy: 'tensor',
      engine: engine.name,
      machines: machines.map((machine) => machine.id),
      link: link.name,
      layers: machines.map(() => request.model.layers),
      because,
      shares: machines.map(() => 1),
    },
    setup,
    obstacle ? { ...size, fits: false, whyNot: obstacle } : size,
    constants,
  )
}
