import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import { spawnChild } from '../shared/spawn.ts'

/** The build tools llama.cpp needs, and how people get them. */
export interface ToolSet {
  cmake: string | null
  git: string | null
  compiler: string | null
  ninja: string | null
  make: string | null
  brew: string | null
}

export function findTools(env: NodeJS.ProcessEnv = process.env): ToolSet {
  const find = (...names: string[]): string | null => {
    const folders = [...(env.PATH ?? '').split(delimiter), '/opt/homebrew/bin', '/usr/local/bin']
    for (const name of names) {
      for (const folder of folders) {
        const path = join(folder, process.platform === 'win32' ? `${name}.exe` : name)
        try {
          if (folder === '') continue
          accessSync(path, constants.X_OK)
          return path
        } catch {
          // Look on.
        }
      }
    }
    return null
  }
  return {
    cmake: find('cmake'),
    git: find('git'),
    compiler: find('c++', 'g++', 'clang++', 'cl'),
    ninja: find('ninja'),
    make: find('make', 'gmake'),
    brew: find('brew'),
  }
}

/** Names of what is missing for a build, in words a package manager knows. */
export function missingTools(tools: ToolSet): string[] {
  const missing: string[] = []
  if (!tools.cmake) missing.push('cmake')
  if (!tools.git) missing.push('git')
  if (!tools.compiler) missing.push('g++')
  if (!tools.ninja && !tools.make) missing.push('make')
  return missing
}

/** @throws HolonError engine_install_failed naming every missing tool and the line that installs them */
export function requireTools(tools: ToolSet, platform: NodeJS.Platform = process.platform): void {
  const missing = missingTools(tools)
  if (missing.length === 0) return
  const list =
    missing.length === 1 ? `${missing[0]} is` : `${missing.slice(0, -1).join(', ')} and ${missing.at(-1)} are`
  const packages = missing.join(' ')
  const hints: Partial<Record<NodeJS.Platform, string>> = {
    darwin: 'Run `xcode-select --install` and `brew install cmake`, or `brew install llama.cpp` alone.',
    win32: 'Install CMake, Git and the Visual Studio Build Tools, or `winget install llama.cpp`.',
  }
  throw new HolonError('engine_install_failed', `${list} not installed, which building llama.cpp needs.`, {
    hint:
      hints[platform] ??
      `Run \`sudo apt-get install ${packages}\` (Debian, Ubuntu) or \`sudo dnf install ${packages.replace('g++', 'gcc-c++')}\` (Fedora), then try again.`,
  })
}

/**
 * Runs a tool to its end.
 * @throws HolonError engine_install_failed with the tool's last complaint; the abort reason
 */
export async function runTool(
  command: string,
  args: readonly string[],
  options: { cwd: string; signal: AbortSignal; onLine?: (line: string) => void },
): Promise<void> {
  options.signal.throwIfAborted()
  const child = await spawnChild({ command, args, cwd: options.cwd, onLine: options.onLine })
  const cancel = (): void => void child.stop(500)
  options.signal.addEventListener('abort', cancel, { once: true })
  const exit = await child.exited
  options.signal.removeEventListener('abort', cancel)
  options.signal.throwIfAborted()
  if (exit.code === 0) return
  const lines = child.lastLines()
  const complaint =
    lines.findLast((line) => /error|fatal|no space/i.test(line)) ?? lines.at(-1) ?? 'no reason given'
  const full = /no space left/i.test(lines.join('\n'))
  throw new HolonError(
    full ? 'disk_full' : 'engine_install_failed',
    `${command.split(/[\\/]/).at(-1)} failed while building llama.cpp: ${complaint.trim().slice(0, 300)}.`,
  )
}
