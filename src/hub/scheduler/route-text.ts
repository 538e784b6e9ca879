/** The choice in a few words, for the header `x-holon-route`. ASCII. The whole of it is `holon explain`. */
import type { NodeModel } from '../../protocol/model.ts'
import type { Verdict } from './contest.ts'
import type { Asked } from './decisions.ts'
import type { Gauge } from './gauge.ts'

const stateWords: Record<NodeModel['state'], string> = {
  ready: 'ready',
  loading: 'loading',
  disk: 'loads from disk',
  failed: 'tries again after a failed load',
}

const ascii = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120)

/** Two figures are enough to compare with. */
function seconds(value: number): string {
  return value >= 10 ? `${Math.round(value)} s` : `${Math.round(value * 100) / 100} s`
}

export function routeText(asked: Asked, gauge: Gauge, { considered, keepsLevel, terms }: Verdict): string {
  const { model } = gauge.placement
  const among =
    considered === 1 ? 'only node with this model' : `earliest of ${considered} (${seconds(terms.finishS)})`
  let text = `${stateWords[model.state]}; ${among}`
  if (model.id !== asked.model && model.id.toLowerCase() !== asked.model.toLowerCase())
    text += `; serves ${ascii(model.id)}`
  if (asked.tier !== null)
    text += `; ${asked.tier}${asked.model === 'auto' && asked.hard !== 'none' ? ` (${asked.hard})` : ''}`
  if (asked.lane !== 'production') text += `; ${asked.lane} lane`
  if (!keepsLevel) {
    const slow = `first token ${seconds(terms.firstTokenS)}, ${Math.round(terms.decodeTokS)} tokens/s`
    text += `; below ${asked.lane} level (${slow})`
  }
  return text
}
