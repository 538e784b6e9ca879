import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import { runNpm } from '../shared/npm.ts'
import { runTool } from './tools.ts'

/**
 * llama.cpp's source, from the git bundle inside the npm package node-llama-cpp: the whole tree at one tag, from a
 * registry people reach anyway, with a checksum known beforehand.
 */
export const llamaCppTag = 'v0.5.0'
const sourcePackage = 'node-llama-cpp@3.22.1'
const sourceIntegrity =
  'sha512-bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw=='

/** The unpacked tree in `folder`; kept there, so that a build cut short goes on where it was. */
export async function fetchSource(folder: string, signal: AbortSignal): Promise<string> {
  const tree = join(folder, 'llama.cpp')
  const parts = `${tree}.part`
  if ((await readdir(tree).catch(() => [])).length > 0) return tree
  await rm(parts, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await runNpm(['pack', sourcePackage, '--ignore-scripts', '--loglevel=error'], folder, signal)
  const names = await readdir(folder)
  const archive = names.find((name) => /^node-llama-cpp-.*\.tgz$/.test(name))
  if (!archive) throw new HolonError('engine_install_failed', 'npm fetched no source package.')
  await verify(join(folder, archive))
  const bundle = 'package/llama/gitRelease.bundle'
  await runTool('tar', ['xzf', archive, bundle], { cwd: folder, signal })
  await runTool('git', ['clone', '--quiet', bundle, parts], { cwd: folder, signal })
  await rename(parts, tree)
  await rm(join(folder, archive), { force: true })
  await rm(join(folder, 'package'), { recursive: true, force: true })
  return tree
}

async function verify(file: string): Promise<void> {
  const hash = createHash('sha512')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  if (`sha512-${hash.digest('base64')}` === sourceIntegrity) return
  await rm(file, { force: true })
  throw new HolonError(
    'checksum_mismatch',
    `The source of llama.cpp (${sourcePackage}) differs from its known checksum and was not used.`,
  )
}
