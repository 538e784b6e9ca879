import { fileURLToPath } from 'node:url'

/**
 * The JavaScript file of a program that runs as a child process, named by the module that starts it.
 * Tests run from `src/*.ts`, which Node 20 cannot execute, so they start the built twin under `dist/`.
 */
export function childEntry(parentUrl: string, relative: string): string {
  const path = fileURLToPath(new URL(relative, parentUrl)).replace(/\.ts$/, '.js')
  // Decided by the parent, not by the path: a built Holon that lies under ~/src must not lose that folder.
  if (!parentUrl.endsWith('.ts')) return path
  return path.replace(/([\\/])src([\\/])(?!.*[\\/]src[\\/])/, '$1dist$2')
}
