/** What the engines that a part starts have in common: an environment, a health page, and Python's last word. */
import { answersHealth } from '../../engines/shared/engine-process.ts'
import type { Spawned } from '../../engines/shared/spawn.ts'

/** Ours with these changes; null takes a variable away. */
export function mergedEnv(changes: Readonly<Record<string, string | null>>): NodeJS.ProcessEnv {
  const env = { ...process.env }
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete env[name]
    else env[name] = value
  }
  return env
}

/** The last line that names an error; null when there is none. */
export function complaintOf(child: Spawned | null): string | null {
  const line = child
    ?.lastLines()
    .findLast((each) => /(Error|Exception|died): |^\[ring\].*(lost|fail)/i.test(each))
  return line === undefined ? null : shorten(line)
}

/** A peer that is lost may be the consequence of what this engine had just said. */
export function withComplaint(why: string, child: Spawned | null): string {
  const complaint = complaintOf(child)
  return complaint === null ? why : `${why} Before that the engine here said: ${complaint}`
}

export function shorten(line: string): string {
  return line
    .replace(/^.*ERROR - /, '')
    .trim()
    .slice(0, 300)
}

/** @throws the signal's reason */
export async function untilHealthy(url: string, signal: AbortSignal): Promise<void> {
  while (!(await answersHealth(url, signal))) {
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  signal.throwIfAborted()
}

/** Looks at a health page; one bad look is not believed. */
export function healthLook(
  url: string,
  signal: AbortSignal,
  why: () => string,
): () => Promise<string | null> {
  let bad = 0
  return async () => {
    bad = (await answersHealth(url, signal)) ? 0 : bad + 1
    return bad < 2 ? null : why()
  }
}
