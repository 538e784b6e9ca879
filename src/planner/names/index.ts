/** Names of models: which one a name means, how good its quant is, and what a caller asked for. */
export * from './ask.ts'
export * from './identify.ts'
export { parseModelName } from './parse-model-name.ts'
export { betterQuant, meetsFloor, type QuantName } from './quant-name.ts'
