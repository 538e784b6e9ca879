import { type Check, checkCalled } from './check.ts'

/**
 * An Intel Node on an Apple chip runs translated, cannot use the GPU and is several times slower. It happens with a Node
 * that came over from an older Mac. Null on machines where it cannot happen.
 * @param machineArch the machine's own architecture, whatever Node believes
 */
export function checkRosetta(platform: string, nodeArch: string, machineArch: string): Check | null {
  if (platform !== 'darwin' || machineArch !== 'arm64') return null
  const { ok, fail } = checkCalled('rosetta', 'Native Node')
  if (nodeArch === 'arm64') return ok('Node runs natively on the Apple chip')
  return fail(
    'this Node is built for Intel and runs translated by Rosetta: no GPU, and several times slower',
    'Install the Apple Silicon build of Node (arm64), and open a Terminal that does not run under Rosetta.',
  )
}
