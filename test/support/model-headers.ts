/** A model's header as a member would tell it, from the facts. */
import { readRequest } from '../../src/planner/index.ts'
import { type ModelHeader, modelHeader } from '../../src/protocol/model-header.ts'

export function headerOf(model: string, quant: string): ModelHeader {
  const request = readRequest({ model, quant })
  return modelHeader.parse({ model: request.model, weights: request.weights, quant: request.quant })
}
