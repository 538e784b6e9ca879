import { type Check, checkCalled } from './check.ts'

/** The oldest Node that runs Holon, as package.json has it. */
const OLDEST = [20, 19] as const

/** @param version as `process.versions.node`: "20.20.2" */
export function checkNodeVersion(version: string): Check {
  const { ok, fail } = checkCalled('node', 'Node.js')
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
  if (enough) return ok(`version ${version}`)
  return fail(
    `version ${version} is older than ${OLDEST.join('.')}`,
    `Install Node ${OLDEST.join('.')} or newer from https://nodejs.org, or with your package manager.`,
  )
}
