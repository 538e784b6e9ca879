/** What the page makes of the fleet's state: which models can chat, what fills the memory, what to say about it. */
import type { MachineProfile } from '../../../src/protocol/machine.ts'
import type { NodeModel, RunningModel } from '../../../src/protocol/model.ts'
import type { FleetState, NodeView } from './fleet.ts'
import { bytes, chipMemory, count, speed } from './format.ts'

export interface ChatModel {
  id: string
  state: NodeModel['state']
  demo: boolean
}

const stateRank = { ready: 0, loading: 1, disk: 2, failed: 3 } as const

/** Models that can chat, each name once, in the best state any node has it in; the readiest and most real first. */
export function chatModels(nodes: NodeView[]): ChatModel[] {
  const best = new Map<string, ChatModel>()
  for (const model of presentModels(nodes)) {
    if (model.embedding || model.problem !== null) continue
    const known = best.get(model.id)
    if (!known || stateRank[model.state] < stateRank[known.state]) {
      best.set(model.id, { id: model.id, state: model.state, demo: model.demo })
    }
  }
  return [...best.values()].sort(
    (a, b) =>
      Number(a.demo) - Number(b.demo) || stateRank[a.state] - stateRank[b.state] || a.id.localeCompare(b.id),
  )
}

/** The person's choice while it is there, else a model that answers at once, else the first. */
export function pickModel(models: ChatModel[], chosen: string | null): string | null {
  if (models.some((model) => model.id === chosen)) return chosen
  return (models.find((model) => model.state === 'ready' && !model.demo) ?? models[0])?.id ?? null
}

function presentModels(nodes: NodeView[]): NodeModel[] {
  return nodes.filter((node) => node.state !== 'gone').flatMap((node) => node.models)
}

export type Notice = { kind: 'demo' | 'empty'; advice: string | null } | null

/** Says so plainly when there is no real model yet. */
export function noticeFor(fleet: FleetState): Notice {
  if (fleet.nodes.length === 0) return null
  const models = presentModels(fleet.nodes)
  const advice = fleet.status?.advice || null
  if (models.length === 0) return { kind: 'empty', advice }
  return models.every((model) => model.demo) ? { kind: 'demo', advice } : null
}

export interface SplitAdvice {
  text: string
  /** To copy; null when the advice holds no command. */
  command: string | null
  rest: string
}

/** A piece of advice around the command in it: what stands between backticks, or begins with `holon pull`. */
export function splitAdvice(advice: string): SplitAdvice {
  const found =
    /`((?:\.\/)?holon [^`\n]+)`/.exec(advice) ?? /((?:\.\/)?\bholon pull [^\s,;]*[^\s,;.)])/.exec(advice)
  if (!found) return { text: advice, command: null, rest: '' }
  const rest = advice.slice(found.index + found[0].length).replace(/^[\s.,;:]+/, '')
  return { text: advice.slice(0, found.index).trim(), command: found[1]!, rest }
}

export interface MemorySlice {
  label: string
  bytes: number
  /** Share of the budget, 0 to 100. */
  percent: number
}

/** What fills a node's memory budget, by model; what the models do not explain is `other`. */
export function memorySlices(node: NodeView): MemorySlice[] {
  if (!node.memory || node.memory.budgetBytes <= 0) return []
  const { budgetBytes, usedBytes } = node.memory
  const slices = node.running
    .filter((running) => (running.memoryBytes ?? 0) > 0)
    .map((running) => ({ label: running.id, bytes: running.memoryBytes! }))
  const explained = slices.reduce((sum, slice) => sum + slice.bytes, 0)
  // Less than 1 % of the budget is a rounding between two measurements, not something to show.
  if (usedBytes - explained > budgetBytes / 100) slices.push({ label: 'other', bytes: usedBytes - explained })
  const whole = Math.max(
    budgetBytes,
    slices.reduce((sum, slice) => sum + slice.bytes, 0),
  )
  return slices.map((slice) => ({ ...slice, percent: (100 * slice.bytes) / whole }))
}

/** Parameters, quant, size and kind of a model in one line. */
export function modelFacts(model: NodeModel): string {
  const params = model.paramsTotal ? shortCount(model.paramsTotal) : null
  // An attached engine does not always say.
  const size = model.sizeBytes === 0 ? null : bytes(model.sizeBytes)
  const facts = [params, model.quant, size, model.embedding ? 'embeddings' : null]
  return facts.filter((fact) => fact !== null).join(' · ')
}

function shortCount(value: number): string {
  for (const [unit, size] of [
    ['T', 1e12],
    ['B', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (value >= size) {
      const scaled = value / size
      return `${scaled >= 100 ? scaled.toFixed(0) : scaled.toFixed(1).replace(/\.0$/, '')}${unit}`
    }
  }
  return String(value)
}

export function stateWord(model: NodeModel): string {
  if (model.problem !== null) return 'unusable'
  return { disk: 'on disk', loading: 'loading', ready: 'ready', failed: 'failed' }[model.state]
}

/** The running engine's own facts, when there is something to say. */
export function runningFacts(running: RunningModel, lastTokS: number | undefined): string[] {
  const tokS = lastTokS ?? running.decodeTokS
  return [
    running.engine,
    running.memoryBytes === null ? null : bytes(running.memoryBytes),
    tokS === null ? null : speed(tokS),
    running.active > 0 ? count(running.active, 'answer', 'answers') : null,
  ].filter((fact) => fact !== null)
}

/** The machine in a line: system, cores, GPU. */
export function machineFacts(profile: MachineProfile): string[] {
  const gpus = profile.gpus.map((gpu) => {
    const what = gpu.unified ? (gpu.cores === null ? 'GPU' : `${gpu.cores}-core GPU`) : gpu.name
    return !gpu.unified && gpu.memoryBytes !== null ? `${what}, ${bytes(gpu.memoryBytes)}` : what
  })
  const cores = profile.cpuCores.physical ?? profile.cpuCores.logical
  return [
    `${profile.os.name} ${profile.os.version}`.trim(),
    count(cores, 'core', 'cores'),
    ...gpus,
    `${chipMemory(profile.memory.totalBytes)} memory`,
  ]
}
