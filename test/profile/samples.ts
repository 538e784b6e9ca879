/** The committed samples, for the tests of the parsers: what a machine said, and a `Run` that says it again. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Run } from '../../src/profile/run-command.ts'

export const samplePath = (path: string): string =>
  fileURLToPath(new URL(`../../src/profile/samples/${path}`, import.meta.url))

export const sample = (path: string): string => readFileSync(samplePath(path), 'utf8')

/** Answers each command with the sample it is given; a command without one is not installed. */
export function replay(answers: Record<string, string>): Run {
  return async (command, args) => {
    const asked = [command, ...args].join(' ')
    const key = Object.keys(answers).find((start) => asked.startsWith(start))
    return key === undefined ? null : sample(answers[key] as string)
  }
}
