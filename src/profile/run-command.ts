/**
 * Asking a system tool a question. Bounded in time and output, and a tool that is missing, fails or hangs is an
 * answer too (`null`): a profile is put together from what the machine can tell, never held up by what it cannot.
 */
import { execFile } from 'node:child_process'

export interface CommandLimits {
  timeoutMs?: number
  /** Most bytes of output; a tool that writes more is stopped and counts as failed. */
  maxBytes?: number
}

/** Runs `command` without a shell. Resolves with what it wrote to stdout, or null if it did not end well. */
export type Run = (command: string, args: readonly string[], limits?: CommandLimits) => Promise<string | null>

export const runCommand: Run = (command, args, { timeoutMs = 3000, maxBytes = 4 * 1024 * 1024 } = {}) =>
  new Promise((resolve) => {
    const options = {
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: maxBytes,
      encoding: 'utf8',
      windowsHide: true,
      // Tools translate their output; the parsers read English. Numbers get points, not commas.
      env: { ...process.env, LC_ALL: 'C', LANG: 'C' },
    } as const
    try {
      // At the timeout execFile also closes the pipes, so a grandchild that holds them cannot keep us waiting.
      const child = execFile(command, [...args], options, (error, stdout) => resolve(error ? null : stdout))
      child.stdin?.end()
    } catch {
      resolve(null)
    }
  })
