export type { ErrorSummary } from './score.ts'
export { type ValidationReport, validate } from './validate.ts'
