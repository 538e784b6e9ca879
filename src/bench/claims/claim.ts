import {
  type Machine,
  type Placement,
  parseMachines,
  pipelinePlacement,
  readRequest,
  soloPlacement,
  tensorPlacement,
} from '../../planner/index.ts'

/** A claim of the project's first documents and what the planner makes of it. */
export interface Claim {
  number: number
  claim: string
  verdict: 'holds' | 'holds in part' | 'wrong' | 'not decidable here'
  /** The verdict follows from the figures by a rule; otherwise it is our judgement of them. */
  byRule?: true
  /** What is right, in figures. */
  right: string
  basis: string
}

export const oneMachine = (text: string): Machine => parseMachines(text)[0] as Machine

export interface Ask {
  model: string
  quant?: string
  context?: number
  prompt?: number
  engine?: string
  link?: string
  parallel?: number
}

const request = (ask: Ask) =>
  readRequest({
    model: ask.model,
    quant: ask.quant,
    contextTokens: ask.context ?? 4096,
    promptTokens: ask.prompt ?? Math.min(256, ask.context ?? 4096),
    engine: ask.engine,
    link: ask.link,
    parallel: ask.parallel,
  })

export const solo = (machine: string, ask: Ask): Placement => soloPlacement(request(ask), oneMachine(machine))
export const pipeline = (machines: string, ask: Ask): Placement =>
  pipelinePlacement(request(ask), parseMachines(machines))
export const tensor = (machines: string, ask: Ask): Placement =>
  tensorPlacement(request(ask), parseMachines(machines))

const speed = (value: number) => (value >= 10 ? value.toFixed(0) : value.toFixed(1))

/** "14 (11 to 18) tok/s", or why it does not fit. */
export function tokS(placement: Placement): string {
  if (!placement.fits) return `does not fit (${placement.whyNot})`
  const { expected, low, high } = placement.decodeTokS
  return `${speed(expected)} (${speed(low)} to ${speed(high)}) tok/s`
}

export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`
/** Memory one machine needs for the placement. */
export const needs = (placement: Placement): string => gigabytes(placement.memory[0]!.totalBytes)

/** Does a claimed span meet the planner's interval? */
export function judged(placement: Placement, from: number, to: number): 'holds' | 'holds in part' | 'wrong' {
  if (!placement.fits) return 'wrong'
  const { expected, low, high } = placement.decodeTokS
  if (expected >= from && expected <= to) return 'holds'
  return to >= low && from <= high ? 'holds in part' : 'wrong'
}
