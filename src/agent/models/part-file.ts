/**
 * The unfinished file of a download: its bytes, the hash of what is there, and what must still hold for them to be
 * worth keeping. It survives cuts, Ctrl-C and kill -9; the next run goes on at the byte where this one stopped.
 */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HolonError } from '../../core/errors.ts'

/** What the bytes belong to. When the source says something else now, they are worthless. */
export interface PartIdentity {
  /** ETag or Last-Modified of the answer the bytes came from; null when the server gave neither. */
  validator: string | null
  totalBytes: number | null
  /** What the source promised when the download began. */
  sha256: string | null
}

const unknown: PartIdentity = { validator: null, totalBytes: null, sha256: null }

export const partPath = (target: string): string => `${target}.part`
const identityPath = (target: string): string => `${target}.part.json`
const corruptPath = (target: string): string => `${target}.corrupt`

/** What a download may leave beside its target. */
export const leftovers = (target: string): string[] => [
  partPath(target),
  identityPath(target),
  corruptPath(target),
]

export class PartFile {
  readonly target: string
  identity: PartIdentity
  private readonly handle: FileHandle
  private length: number
  private hash: Hash = createHash('sha256')

  private constructor(target: string, handle: FileHandle, length: number, identity: PartIdentity) {
    this.target = target
    this.handle = handle
    this.length = length
    this.identity = identity
  }

  /** Opens what an earlier run left, or an empty file, and hashes what is there. */
  static async open(
    target: string,
    onHashed: (bytes: number, of: number) => void,
    signal: AbortSignal,
  ): Promise<PartFile> {
    await mkdir(dirname(target), { recursive: true })
    const handle = await open(partPath(target), 'a+').then(async (created) => {
      await created.close()
      return open(partPath(target), 'r+')
    })
    try {
      const { size } = await handle.stat()
      const part = new PartFile(target, handle, size, await readIdentity(target))
      await part.hashExisting(onHashed, signal)
      return part
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
  }

  get bytes(): number {
    return this.length
  }

  /** Adds bytes at the end. @throws HolonError disk_full */
  async append(chunk: Uint8Array): Promise<void> {
    let written = 0
    while (written < chunk.length) {
      const { bytesWritten } = await this.handle
        .write(chunk, written, chunk.length - written, this.length + written)
        .catch((cause: NodeJS.ErrnoException) => {
          throw cause.code === 'ENOSPC' || cause.code === 'EDQUOT' ? diskFull(this.target, cause) : cause
        })
      written += bytesWritten
    }
    this.hash.update(chunk)
    this.length += chunk.length
  }

  /** Forgets the bytes: they belong to something else. */
  async restart(): Promise<void> {
    await this.handle.truncate(0)
    this.length = 0
    this.hash = createHash('sha256')
    await this.remember({ ...unknown, sha256: this.identity.sha256 })
  }

  /** Notes what the bytes belong to, so that a later run can tell. */
  async remember(identity: PartIdentity): Promise<void> {
    this.identity = identity
    await writeFile(identityPath(this.target), JSON.stringify(identity))
  }

  /** The hash of all bytes, once they are safely on the disk. */
  async seal(): Promise<string> {
    await this.handle.sync()
    return this.hash.copy().digest('hex')
  }

  /** The finished file takes its name. */
  async finish(): Promise<void> {
    await this.close()
    await rename(partPath(this.target), this.target)
    for (const path of leftovers(this.target)) await rm(path, { force: true })
  }

  /** Keeps the bytes for inspection under another name, so that the next run starts anew. */
  async setAside(): Promise<string> {
    const aside = corruptPath(this.target)
    await this.close()
    await rename(partPath(this.target), aside)
    await rm(identityPath(this.target), { force: true })
    return aside
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => undefined)
  }

  private async hashExisting(
    onHashed: (bytes: number, of: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const buffer = new Uint8Array(4 * 1024 * 1024)
    let at = 0
    while (at < this.length) {
      signal.throwIfAborted()
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, at)
      if (bytesRead === 0) break
      this.hash.update(buffer.subarray(0, bytesRead))
      at += bytesRead
      onHashed(at, this.length)
    }
    this.length = at
  }
}

async function readIdentity(target: string): Promise<PartIdentity> {
  try {
    const stored = JSON.parse(await readFile(identityPath(target), 'utf8'))
    return {
      validator: typeof stored.validator === 'string' ? stored.validator : null,
      totalBytes: Number.isSafeInteger(stored.totalBytes) ? stored.totalBytes : null,
      sha256: typeof stored.sha256 === 'string' ? stored.sha256 : null,
    }
  } catch {
    return unknown
  }
}

function diskFull(target: string, cause: unknown): HolonError {
  return new HolonError('disk_full', `The disk filled up while writing ${target}.`, {
    cause,
    hint: 'Free some space and run the same command again: it goes on where it stopped.',
  })
}
