import { existsSync, readdirSync } from 'node:fs'
import { copyFile, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import { installEmbedded } from '../../engines/embedded/install.ts'
import { packVersion } from '../../engines/embedded/packages.ts'
import { fetchSource, llamaCppTag } from '../../engines/llama-server/source.ts'
import { findTools, requireTools, runTool, type ToolSet } from '../../engines/llama-server/tools.ts'

/**
 * llama-server of the very build that the embedded engine is: only the server's own code is compiled, and linked
 * against the shared libraries of the engine pack, so that both run the same machine code for the model. Against a
 * llama-server compiled on the machine a comparison measures compilers and OpenMP as much as engines.
 */
export function sameBuildPlace(home: Home): string {
  return join(home.cache, `llama-server-on-pack-${packVersion}`, 'llama-server')
}

/** The archives that llama-server is made of, apart from what the pack's libraries hold. */
const archives = [
  ['tools/server/libllama-server-impl.a', 'llama-server-impl'],
  ['tools/server/libserver-context.a', 'server-context'],
  ['tools/mtmd/libmtmd.a', 'mtmd'],
  ['tools/ui/libllama-ui.a', 'llama-ui'],
  ['vendor/cpp-httplib/libcpp-httplib.a', 'cpp-httplib'],
  ['common/libllama-common-base.a', 'llama-common-base'],
  ['vendor/hash/libvendor-hash.a', 'vendor-hash'],
] as const

/**
 * Builds it once (a few minutes, 36 MB fetched from the npm registry) and keeps it. Returns its path.
 * @throws HolonError engine_install_failed, engine_unavailable, checksum_mismatch, disk_full; the abort reason
 */
export async function buildSameBuild(
  home: Home,
  options: { onLine: (line: string) => void; signal: AbortSignal },
): Promise<string> {
  const place = sameBuildPlace(home)
  if (existsSync(place)) return place
  if (process.platform !== 'linux') {
    throw new HolonError(
      'engine_install_failed',
      'Linking llama-server to the engine pack is known for Linux only.',
      {
        hint: 'Run the bench without --same-build: it compares with the llama-server installed here.',
      },
    )
  }
  const tools = findTools()
  requireTools(tools)
  const native = await installEmbedded(home, { onProgress: () => undefined, signal: options.signal })
  const work = join(home.cache, `.llama-server-on-pack-${packVersion}.build`)
  options.onLine(`fetching the source of llama.cpp ${llamaCppTag}`)
  const source = await fetchSource(work, options.signal)
  const build = await compile(source, work, tools, options)
  const part = `${dirname(place)}.part`
  await rm(part, { recursive: true, force: true })
  await mkdir(part, { recursive: true })
  await linkToPack({ source, build, pack: dirname(native), folder: part, tools, signal: options.signal })
  await rename(part, dirname(place))
  await rm(work, { recursive: true, force: true })
  return place
}

async function compile(
  source: string,
  work: string,
  tools: ToolSet,
  options: { onLine: (line: string) => void; signal: AbortSignal },
): Promise<string> {
  const build = join(work, 'build')
  const cmake = tools.cmake ?? 'cmake'
  const configuration = [
    ...(tools.ninja ? ['-G', 'Ninja', `-DCMAKE_MAKE_PROGRAM=${tools.ninja}`] : []),
    '-DCMAKE_BUILD_TYPE=Release',
    '-DBUILD_SHARED_LIBS=OFF',
    // The libraries come from the pack: archives need not wait for others of their own.
    '-DCMAKE_OPTIMIZE_DEPENDENCIES=ON',
    '-DLLAMA_BUILD_TESTS=OFF',
    '-DLLAMA_BUILD_EXAMPLES=OFF',
    '-DLLAMA_BUILD_UI=OFF',
    '-DLLAMA_USE_PREBUILT_UI=OFF',
    '-DLLAMA_OPENSSL=OFF',
  ]
  await runTool(cmake, ['-S', source, '-B', build, ...configuration], { cwd: work, signal: options.signal })
  const targets = archives.map(([, target]) => target)
  await runTool(cmake, ['--build', build, '--parallel', '2', '--target', ...targets], {
    cwd: work,
    ...options,
  })
  return build
}

async function linkToPack(parts: {
  source: string
  build: string
  pack: string
  folder: string
  tools: ToolSet
  signal: AbortSignal
}): Promise<void> {
  const { folder, pack, signal } = parts
  const libraries = readdirSync(pack).filter((name) => name.endsWith('.so'))
  // ggml looks for its CPU variants beside the program.
  for (const name of libraries) await symlink(join(pack, name), join(folder, name))
  const linked = libraries.filter((name) => !name.startsWith('libggml-cpu-'))
  await copyFile(join(parts.source, 'tools/server/main.cpp'), join(folder, 'main.cpp'))
  const args = ['-O2', 'main.cpp', ...archives.map(([file]) => join(parts.build, file))]
  args.push('-L.', ...linked.map((name) => `-l:${basename(name)}`), '-lpthread', '-ldl')
  args.push('-Wl,-rpath,$ORIGIN', '-o', 'llama-server')
  await runTool(parts.tools.compiler ?? 'c++', args, { cwd: folder, signal })
}
