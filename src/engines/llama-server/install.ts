import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import { shareInstallation } from '../shared/install-lock.ts'
import { buildLlamaCpp } from './build.ts'
import { findLlamaServer } from './detect.ts'
import { llamaCppTag } from './source.ts'
import { findTools, requireTools, runTool, type ToolSet } from './tools.ts'

/**
 * Gets llama-server: with Homebrew on a Mac that has none, else built from source with its RPC worker. At once when
 * one with RPC is here. A build that was cut goes on where it stopped; two at the same time share one.
 * @throws HolonError engine_install_failed, checksum_mismatch, disk_full; the abort reason
 */
export async function installLlamaServer(
  home: Home,
  places: () => readonly string[],
  options: { onProgress: (progress: LoadProgress) => void; signal: AbortSignal },
): Promise<void> {
  if (await findLlamaServer(places(), { rpc: true })) return
  const tools = findTools()
  const nothingYet = (await findLlamaServer(places())) === null
  const lock = join(home.engines, `.llama.cpp-${llamaCppTag}.lock`)
  await shareInstallation(lock, options.signal, async () => {
    if (await findLlamaServer(places(), { rpc: true })) return
    if (process.platform === 'darwin' && tools.brew && nothingYet) return brew(tools, home, options)
    requireTools(tools)
    const work = join(home.engines, `.llama.cpp-${llamaCppTag}.build`)
    await buildLlamaCpp(work, join(home.engines, `llama.cpp-${llamaCppTag}`), tools, options)
    await rm(work, { recursive: true, force: true })
  })
  if (!(await findLlamaServer(places()))) {
    throw new HolonError('engine_install_failed', 'llama.cpp was installed, but llama-server does not run.', {
      hint: 'Run `llama-server --version` to see why.',
    })
  }
}

async function brew(
  tools: ToolSet,
  home: Home,
  options: { onProgress: (progress: LoadProgress) => void; signal: AbortSignal },
): Promise<void> {
  const phase = 'installing llama.cpp with Homebrew'
  options.onProgress({ phase, percent: null, etaS: null })
  await runTool(tools.brew ?? 'brew', ['install', 'llama.cpp'], { cwd: home.engines, signal: options.signal })
}
