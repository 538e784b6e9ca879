import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import { spawnChild } from './spawn.ts'

/** Runs the user's own npm, so that their registry, proxy and certificates hold. */

/** npm as a command line: the one that started us, the one beside this Node, or the one on the PATH. */
export function findNpm(env: NodeJS.ProcessEnv = process.env): string[] | null {
  const fromEnv = env.npm_execpath
  if (fromEnv && /npm-cli\.c?js$/.test(fromEnv) && existsSync(fromEnv)) return [process.execPath, fromEnv]
  const beside = dirname(process.execPath)
  const onPath = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const folder of [join(beside, '..', 'lib'), beside, ...onPath]) {
    const cli = join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js')
    if (existsSync(cli)) return [process.execPath, cli]
    // On Windows npm is a batch file, which Node does not start without a shell.
    const npm = join(folder, 'npm')
    if (process.platform !== 'win32' && existsSync(npm)) return [npm]
  }
  return null
}

/** @throws HolonError engine_install_failed, checksum_mismatch, disk_full; the abort reason */
export async function runNpm(args: readonly string[], cwd: string, signal: AbortSignal): Promise<void> {
  const npm = findNpm()
  const [command, ...first] = npm ?? []
  if (!command) {
    throw new HolonError('engine_install_failed', 'npm was not found, which fetches the engine pack.', {
      hint: 'Install Node.js with npm (https://nodejs.org), or put npm on the PATH.',
    })
  }
  signal.throwIfAborted()
  const output: string[] = []
  const child = await spawnChild({
    command,
    args: [...first, ...args],
    cwd,
    env: { ...process.env, npm_config_update_notifier: 'false', npm_config_yes: 'true' },
    onLine: (line) => output.push(line),
  })
  const cancel = (): void => void child.stop(500)
  signal.addEventListener('abort', cancel, { once: true })
  const exit = await child.exited
  signal.removeEventListener('abort', cancel)
  signal.throwIfAborted()
  if (exit.code !== 0) throw explain(output.slice(-200).join('\n'))
}

const offline =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|network/i

/** npm's failures as sentences, with what to do. */
export function explain(output: string): HolonError {
  const code = /npm (?:error|ERR!) code (\S+)/.exec(output)?.[1] ?? ''
  if (code === 'EINTEGRITY') {
    return new HolonError(
      'checksum_mismatch',
      'The engine pack differs from its known checksum and was not used.',
      {
        hint: 'Run `npm cache verify` and try again; if it happens again, the registry serves something else.',
      },
    )
  }
  if (code === 'ENOSPC')
    return new HolonError('disk_full', 'There is no space left to fetch the engine pack.')
  if (code === 'E404' || code === 'ETARGET') {
    return new HolonError('engine_install_failed', 'The npm registry in use does not have the engine pack.', {
      hint: 'Check `npm config get registry`, or install llama.cpp (`holon engines install llama.cpp`).',
    })
  }
  if (code === 'EBADPLATFORM') {
    return new HolonError(
      'engine_install_failed',
      'The engine pack does not run on this system (it needs glibc).',
      {
        hint: 'Install llama.cpp with `holon engines install llama.cpp`, which builds it for this system.',
      },
    )
  }
  if (offline.test(code) || offline.test(output)) {
    return new HolonError(
      'engine_install_failed',
      'The engine pack could not be fetched: the npm registry cannot be reached.',
      {
        hint: 'Connect to the internet once and try again; after that Holon works offline.',
      },
    )
  }
  const last = output
    .split('\n')
    .findLast((line) => /npm (error|ERR!)/.test(line) && !/log of this run/.test(line))
  const why = last?.replace(/npm (error|ERR!)\s*/, '').trim() || 'npm gave no reason'
  return new HolonError('engine_install_failed', `The engine pack could not be fetched: ${why}.`)
}
