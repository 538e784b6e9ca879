/** Names of models: which one a name means, how good its quant is, and what a caller asked for. */
export * from './ask.ts'
export * from './identify.ts'
export { type ModelName, parseModelName } from './parse-model-name.ts'
export {
  betterQuant,
  meetsFloor,
  type QualityFloor,
  type QuantName,
  readFloor,
  readQuant,
} from './quant-name.ts'
export { saysNothing } from './reference.ts'
