import { fileURLToPath } from 'node:url'

/**
 * The JavaScript file of a program that runs as a child process, named by the module that starts it.
 * Tests run from `src/*.ts`, which Node 20 cannot execute, so they start the built twin under `dist/`.
 */
export function childEntry(parentUrl: string, relative: string): string {
  const path = fileURLToPath(new URL(relative, parentUrl))
  if (!path.endsWith('.ts')) return path
  return path.replace(/([\\/])src([\\/])(?!.*[\\/]src[\\/])/, '$1dist$2').replace(/\.ts$/, '.js')
}
