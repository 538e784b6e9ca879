import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { LoadProgress } from '../../protocol/model.ts'
import { fetchSource } from './source.ts'
import { runTool, type ToolSet } from './tools.ts'

/** Builds llama-server and its RPC worker, both static, and puts them at `place`/bin in one rename. */
export async function buildLlamaCpp(
  work: string,
  place: string,
  tools: ToolSet,
  options: { onProgress: (progress: LoadProgress) => void; signal: AbortSignal },
): Promise<void> {
  const { onProgress, signal } = options
  onProgress({ phase: 'fetching the source of llama.cpp (36 MB)', percent: null, etaS: null })
  const source = await fetchSource(work, signal)
  const build = join(work, 'build')
  onProgress({ phase: 'configuring the build', percent: null, etaS: null })
  const cmake = tools.cmake ?? 'cmake'
  await runTool(cmake, ['-S', source, '-B', build, ...configuration(tools)], { cwd: work, signal })
  const report = buildProgress(onProgress)
  const jobs = String(availableParallelism())
  await runTool(
    cmake,
    [
      '--build',
      build,
      '--config',
      'Release',
      '--parallel',
      jobs,
      '--target',
      'ggml-rpc-server',
      'llama-server',
    ],
    { cwd: work, signal, onLine: report },
  )
  await putInPlace(join(build, 'bin'), place)
}

function configuration(tools: ToolSet): string[] {
  const options = [
    '-DCMAKE_BUILD_TYPE=Release',
    '-DBUILD_SHARED_LIBS=OFF',
    '-DGGML_RPC=ON',
    '-DLLAMA_BUILD_TESTS=OFF',
    '-DLLAMA_BUILD_EXAMPLES=OFF',
    // The web page would be fetched from the network during the build.
    '-DLLAMA_BUILD_UI=OFF',
    '-DLLAMA_USE_PREBUILT_UI=OFF',
    '-DLLAMA_OPENSSL=OFF',
  ]
  return tools.ninja ? ['-G', 'Ninja', `-DCMAKE_MAKE_PROGRAM=${tools.ninja}`, ...options] : options
}

/** Reads `[12/209]` (ninja) or `[ 12%]` (make) out of the build's lines. */
export function parseBuildPercent(line: string): number | null {
  const ninja = /^\[(\d+)\/(\d+)\]/.exec(line)
  if (ninja) return Math.min(100, Math.floor((Number(ninja[1]) / Math.max(1, Number(ninja[2]))) * 100))
  const make = /^\[\s*(\d+)%\]/.exec(line)
  return make ? Math.min(100, Number(make[1])) : null
}

function buildProgress(onProgress: (progress: LoadProgress) => void): (line: string) => void {
  const started = Date.now()
  let first: number | null = null
  let last = -1
  return (line) => {
    const percent = parseBuildPercent(line)
    if (percent === null || percent <= last) return
    first ??= percent
    last = percent
    // A build that goes on after a cut starts high: only what is done now tells the speed.
    const done = percent - first
    const elapsed = (Date.now() - started) / 1000
    onProgress({
      phase: 'building llama.cpp',
      percent,
      etaS: done > 3 ? (elapsed / done) * (100 - percent) : null,
    })
  }
}

async function putInPlace(built: string, place: string): Promise<void> {
  const part = `${place}.part-${process.pid}`
  const suffix = process.platform === 'win32' ? '.exe' : ''
  // Visual Studio puts each configuration in a folder of its own.
  const folder = await stat(join(built, 'Release')).then(
    () => join(built, 'Release'),
    () => built,
  )
  await rm(part, { recursive: true, force: true })
  await mkdir(join(part, 'bin'), { recursive: true })
  for (const name of ['llama-server', 'ggml-rpc-server']) {
    await copyFile(join(folder, `${name}${suffix}`), join(part, 'bin', `${name}${suffix}`))
  }
  await rm(place, { recursive: true, force: true })
  await rename(part, place)
}
