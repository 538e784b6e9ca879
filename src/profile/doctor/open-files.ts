import { type Check, checkCalled } from './check.ts'

/** A connection is a file here: two per request in flight, and every model shard, and the store. */
const ENOUGH = 4096

/** Most files this process may have open; null when the system does not say (Windows has no such limit). */
export function readOpenFilesLimit(): number | null {
  const report = process.report as (typeof process.report & { excludeNetwork?: boolean }) | undefined
  if (!report || process.platform === 'win32') return null
  // With its network part the report looks every interface's name up, which can take seconds.
  const before = report.excludeNetwork
  report.excludeNetwork = true
  const limits = (report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } })
    .userLimits
  report.excludeNetwork = before
  const soft = limits?.open_files?.soft
  // Node has raised the soft limit to the hard one by now, so this is what counts.
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : typeof soft === 'number' ? soft : null
}

export function checkOpenFiles(limit: number | null): Check | null {
  if (limit === null) return null
  const { ok, warn } = checkCalled('open-files', 'Open files')
  if (limit >= ENOUGH) return ok(Number.isFinite(limit) ? `up to ${limit}` : 'no limit')
  return warn(
    `only ${limit} files and connections may be open at once; about ${Math.floor(limit / 3)} requests in flight will fail`,
    `Raise the hard limit to ${ENOUGH} or more: \`ulimit -Hn\` shows it, and LimitNOFILE= sets it in a systemd service.`,
  )
}
