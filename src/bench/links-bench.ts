/**
 * Pools over real cables: predicted against measured speed and memory, the encrypted wire against none, the managed pool
 * against the same engine by hand, and the time from a member's death to the next token. Machines are network namespaces with real hubs, agents and llama.cpp in them;
 * their cables are shaped by the kernel (`tc tbf`), and made long by a relay in user space that holds each frame. Linux,
 * root. Every machine has one processor of this one; of a pipeline one member computes at a time.
 *
 * `node dist/bench/links-bench.js [--quick] [--only predicted,wire,hand,death] [--json]`
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Cable, limitedTo, unshaped } from './lab/cable.ts'
import { enginesFolder, Lab } from './lab/lab.ts'
import { whyNoCables } from './lab/namespaces.ts'
import { byHand, type HandRow } from './links/by-hand.ts'
import { type DeathRow, death } from './links/death.ts'
import { type Predicted, predicted } from './links/predicted.ts'
import { names, writeModel } from './links/stand.ts'
import { deathText, handText, predictedText, wireText } from './links/tables.ts'
import { type WireRow, wireCost } from './links/wire-cost.ts'

const parts = ['predicted', 'wire', 'hand', 'death'] as const
const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, only: { type: 'string' } },
})
const asked = values.only?.split(',') ?? parts
const strange = asked.find((part) => !parts.some((known) => known === part))
if (strange !== undefined) throw new Error(`there is no part ${strange}: there are ${parts.join(', ')}`)

/** Told apart by `scripts/bench.mjs`, which runs what can run. */
const cannotRun = 69
/** A frame between two machines passes two long cables. */
const holdMs = 0.25
const quick = values.quick ?? false
const gigabit = limitedTo(1000)
const long: Cable = { ...gigabit, name: `${gigabit.name} + ${2 * holdMs} ms`, relay: { out: 0, back: 0 } }
const cables = quick ? [unshaped, long] : [unshaped, gigabit, long, limitedTo(100)]
const say = (text: string): void => void process.stderr.write(`${text} …\n`)

export interface LinksFigures {
  predicted?: Predicted
  wire?: WireRow[]
  hand?: HandRow[]
  death?: DeathRow[]
}

async function measure(lab: Lab): Promise<LinksFigures> {
  await lab.up()
  for (const name of names) lab.add(name)
  await lab.relay(holdMs)
  writeModel(lab)
  const figures: LinksFigures = {}
  if (asked.includes('predicted')) {
    say('the machines measure themselves')
    for (const name of names) await lab.onNode(name, ['profile', '--measure', '--json'])
    figures.predicted = await predicted(lab, cables, quick ? 1 : 3, say)
  }
  if (asked.includes('wire')) {
    say('encrypted and plain')
    figures.wire = await wireCost(lab, [unshaped, gigabit], quick ? 1 : 3)
  }
  if (asked.includes('hand')) {
    say('managed and by hand')
    figures.hand = await byHand(lab, quick ? [gigabit] : [gigabit, limitedTo(250)], quick ? 1 : 3)
  }
  if (asked.includes('death')) {
    say('deaths')
    figures.death = await death(lab, quick ? 1 : 2)
  }
  return figures
}

const why =
  whyNoCables() ??
  (existsSync(enginesFolder) ? null : 'no engines are installed: `npm run test:all` builds them')
if (why !== null) {
  process.stderr.write(`error: this bench cannot run here: ${why}\n`)
  process.exit(cannotRun)
}
const lab = new Lab('10.213.17')
// Told to stop, it leaves no namespace and no process behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void lab.end().finally(() => process.exit(1)))
try {
  const figures = await measure(lab)
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
  if (!values.json && figures.predicted) process.stdout.write(`${predictedText(figures.predicted)}\n`)
  if (!values.json && figures.wire) process.stdout.write(`${wireText(figures.wire)}\n`)
  if (!values.json && figures.hand) process.stdout.write(`${handText(figures.hand)}\n`)
  if (!values.json && figures.death) process.stdout.write(deathText(figures.death))
} finally {
  await lab.end()
}
process.exit(0)
