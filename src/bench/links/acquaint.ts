/**
 * What machines of a fleet in use have behind them: each has answered a few times with some other model that fits it alone.
 * The hub learns from that how quick they are, and previews of models that it never saw are corrected by it.
 */
import { linkSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from '../lab/lab.ts'
import { halfBillion, writeRandomGguf } from '../random-gguf.ts'
import { answered, contextTokens, names, question } from './stand.ts'

/** A name that the planner knows, with that model's shape. */
const model = 'qwen2.5-0.5b-instruct-q8_0'
const answers = 4

export async function acquaint(lab: Lab): Promise<void> {
  const pathAt = (name: string): string => join(lab.nodes[name]!.home, 'models', `${model}.gguf`)
  const [first, ...others] = names.map(pathAt)
  writeRandomGguf(first!, { ...halfBillion, type: 'Q8_0', name: 'Qwen2.5 0.5B Instruct' })
  for (const path of others) linkSync(first!, path)
  for (const name of names) {
    // One after the other: asked together, the quickest would have answered everything.
    await lab.join(name)
    await lab.post('/fleet/v1/models/load', { model, contextTokens })
    for (let count = 0; count < answers; count++) await answered(lab, { ...question(), model })
    await lab.post('/fleet/v1/models/unload', { model })
    await lab.leave(name)
  }
}
