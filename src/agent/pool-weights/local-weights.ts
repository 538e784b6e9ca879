/** What this machine gives and takes of models' files for pools. */
import { mkdir, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { MemberHost } from '../../pool/pool-engine.ts'
import { ownModelFolder } from '../../pool/weights/model-folder.ts'
import type { WeightFile, WeightList, WeightMember, WeightSource } from '../../protocol/pool-weights.ts'
import { demandDiskSpace, freeDiskBytes } from '../models/disk-space.ts'
import { fetchFile } from './fetch-file.ts'
import { FileSums } from './file-sums.ts'
import { findFiles, listFiles } from './list-files.ts'
import { serveFiles } from './serve-files.ts'

export interface LocalWeightsOptions extends Pick<MemberHost, 'home' | 'findModel'> {
  clock: Clock
  /** Milliseconds; a source that brings nothing for so long has stalled. */
  stallMs?: number
  /** Replaced in tests. */
  freeBytes?: (folder: string) => Promise<number>
}

export class LocalWeights implements WeightMember {
  private readonly options: LocalWeightsOptions
  private readonly sums: FileSums

  constructor(options: LocalWeightsOptions) {
    this.options = options
    this.sums = new FileSums(options.home.cache)
  }

  async list(model: string, signal: AbortSignal): Promise<WeightList | null> {
    const found = await findFiles(this.options, model)
    return found === null ? null : listFiles(found, model, this.sums, signal)
  }

  async has(list: WeightList, signal: AbortSignal): Promise<string[]> {
    const own = await this.folderOf(list.model)
    const here = await this.matching(own, list.files, signal)
    if (here.length === list.files.length) return here
    // A folder that all members see at one path: nothing need be sent.
    const shared = await this.matching(list.path, list.files, signal)
    if (shared.length < list.files.length) return here
    await this.adopt(list.path, list.model)
    return shared
  }

  async prepare(bytes: number): Promise<void> {
    const { models } = this.options.home
    const freeBytes = this.options.freeBytes ?? freeDiskBytes
    demandDiskSpace(bytes, await freeBytes(models), models)
  }

  async serve(
    { list, host, secret }: { list: WeightList; host: string; secret: string },
    signal: AbortSignal,
  ): Promise<{ port: number }> {
    const folder = await this.folderOf(list.model)
    return serveFiles({ folder, files: list.files, host, secret }, signal)
  }

  async fetch(
    { model, file, from }: { model: string; file: WeightFile; from: WeightSource },
    { signal, onProgress }: { signal: AbortSignal; onProgress(bytes: number): void },
  ): Promise<void> {
    const { clock, stallMs = 20_000 } = this.options
    const folder = this.ownFolder(model)
    const target = join(folder, file.name)
    await mkdir(dirname(target), { recursive: true })
    await fetchFile({ file, from, target, folder, clock, stallMs, signal, onProgress })
    await this.sums.note(target, file.sha256)
  }

  /** Where the model is; where it would be put, when it is not here whole. */
  private async folderOf(model: string): Promise<string> {
    return (await findFiles(this.options, model))?.folder ?? this.ownFolder(model)
  }

  private ownFolder(model: string): string {
    const folder = ownModelFolder(model, this.options.home)
    if (folder !== null) return folder
    throw new HolonError('invalid_parameter', `"${model}" cannot be the name of a folder of models.`, {
      param: 'model',
    })
  }

  /** Names of the files that are in a folder with the same bytes. */
  private async matching(
    folder: string,
    files: readonly WeightFile[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const names: string[] = []
    for (const { name, bytes, sha256 } of files) {
      const path = join(folder, name)
      const size = await stat(path).then(
        (info) => info.size,
        () => null,
      )
      // A different size needs no hashing.
      if (size !== bytes) continue
      if ((await this.sums.of(path, signal)).sha256 === sha256) names.push(name)
    }
    return names
  }

  /** From now on the shared folder is found under the model's own name. */
  private async adopt(path: string, model: string): Promise<void> {
    if ((await findFiles(this.options, model)) !== null) return
    const own = this.ownFolder(model)
    await mkdir(dirname(own), { recursive: true })
    await symlink(path, own, 'dir').catch((cause: NodeJS.ErrnoException) => {
      const why = `${path} is shared with this machine and cannot be linked as ${own} (${cause.code}).`
      throw new HolonError('model_file_invalid', why, { hint: `Move ${own} away.`, cause })
    })
  }
}
