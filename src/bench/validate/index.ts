export type { ErrorSummary } from './score.ts'
export { type ValidateOptions, type ValidationReport, validate } from './validate.ts'
