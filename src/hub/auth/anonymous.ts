/** Which paths ask for no key. Both doors ask here: what one lets by as a page must not be management to the other. */
import { isOpenAiPath } from '../gateway/routes.ts'
import { joiningPaths } from './joining-routes.ts'

/** Liveness, readiness and the page's own files: they tell nothing and the page asks for the key itself. */
export function isAnonymous(path: string): boolean {
  return (
    path === '/health' ||
    path === '/readyz' ||
    joiningPaths.has(path) ||
    !(path.startsWith('/fleet/') || path === '/metrics' || isOpenAiPath(path))
  )
}
