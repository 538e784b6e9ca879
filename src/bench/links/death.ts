/**
 * Part 3: a member dies in the middle of an answer, and somebody goes on asking. Any two of the three hold the model, so
 * the pool is rebuilt on the two that are left. Killed is its engine's process; pulled is its cable, which nobody is told of.
 */
import { median } from '../../core/median.ts'
import { eventually } from '../lab/holon-process.ts'
import type { Lab } from '../lab/lab.ts'
import * as stand from './stand.ts'

const deaths = ['engine killed', 'cable pulled'] as const
export type Death = (typeof deaths)[number]

export interface DeathRow {
  death: Death
  /** Seconds from the death: the answer under way broke off; the hub took the pool out; it was formed anew. */
  answerBrokeS: number
  detectedS: number
  rebuiltS: number
  /** Until the first token of the next answer that came, asked again every 50 ms. */
  servedS: number
  times: number
}

type Once = Omit<DeathRow, 'death' | 'times'>

const now = (): number => performance.timeOrigin + performance.now()
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const servedWithinMs = 90_000

export async function death(lab: Lab, times: number): Promise<DeathRow[]> {
  await stand.joinAll(lab, 0.5)
  const by: Record<Death, Once[]> = { 'engine killed': [], 'cable pulled': [] }
  for (let time = 0; time < times; time++) for (const kind of deaths) by[kind].push(await once(lab, kind))
  for (const name of stand.names) await lab.leave(name)
  return deaths.map((kind) => {
    const of = (which: keyof Once) => median(by[kind].map((one) => one[which]))
    return {
      ...{ death: kind, times },
      answerBrokeS: of('answerBrokeS'),
      detectedS: of('detectedS'),
      rebuiltS: of('rebuiltS'),
      servedS: of('servedS'),
    }
  })
}

async function once(lab: Lab, kind: Death): Promise<Once> {
  await stand.formPool(lab, stand.names)
  const victim = (await stand.poolView(lab))?.members.find(({ rank }) => rank === 1)?.node ?? ''
  let begun: () => void = () => undefined
  const first = new Promise<void>((resolve) => {
    begun = resolve
  })
  const broken = lab.ask(stand.shortQuestion(450), begun)
  await Promise.race([first, broken])
  await pause(500)
  const diedAt = now()
  if (kind === 'engine killed') process.kill(stand.engineOn(lab, victim).pid, 'SIGKILL')
  else lab.nodes[victim]!.machine.unplug()
  const [{ endedAtMs, error }, turns, servedAt] = await Promise.all([
    broken,
    phases(lab),
    nextToken(lab, diedAt),
  ])
  if (error === null) throw new Error('the answer ended in peace: nothing had died')
  lab.nodes[victim]!.machine.plugIn()
  await stand.endPool(lab)
  await eventually(`${victim} to be ready again`, () => isReady(lab, victim), 60_000)
  const since = (at: number) => (at - diedAt) / 1000
  return {
    answerBrokeS: since(endedAtMs),
    detectedS: since(turns.leftAt),
    rebuiltS: since(turns.backAt),
    servedS: since(servedAt),
  }
}

/** When the pool was taken out of service, and when it was in it again, as its owner sees it. */
async function phases(lab: Lab): Promise<{ leftAt: number; backAt: number }> {
  let leftAt = 0
  for (const until = now() + servedWithinMs; now() < until; await pause(10)) {
    const serves = (await stand.poolView(lab))?.service === 'group'
    if (!serves && leftAt === 0) leftAt = now()
    if (serves && leftAt !== 0) return { leftAt, backAt: now() }
  }
  throw new Error('the pool was not formed anew')
}

async function nextToken(lab: Lab, diedAt: number): Promise<number> {
  // Until somebody noticed, a question would only wait for the dead.
  for (const until = diedAt + servedWithinMs; now() < until; await pause(50)) {
    const { error, firstAtMs } = await lab.ask(stand.shortQuestion(1))
    if (error === null && firstAtMs !== null && firstAtMs > diedAt) return firstAtMs
  }
  throw new Error('nothing was served after the death')
}

async function isReady(lab: Lab, name: string): Promise<boolean> {
  const { nodes } = await lab.get<{ nodes: { name: string; state: string }[] }>('/fleet/v1/nodes')
  return nodes.some((node) => node.name === name && node.state === 'ready')
}
