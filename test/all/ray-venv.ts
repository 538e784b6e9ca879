/** Ray itself in a virtual environment that is made once per machine, about 290 MB from PyPI. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The folder of its programs. */
export async function rayPrograms(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon')
  const venv = join(cache, 'ray-venv')
  const programs = join(venv, 'bin')
  if (existsSync(join(programs, 'ray'))) return programs
  await mkdir(cache, { recursive: true })
  await run('python3', ['-m', 'venv', venv])
  await run(join(programs, 'pip'), ['install', '--quiet', 'ray'], { timeout: 15 * 60_000 })
  return programs
}
