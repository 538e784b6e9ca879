/** SHA-256 of large files, computed once: kept by path, size and time of change, in memory and beside other caches. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { newId } from '../../core/ids.ts'

const mostKept = 10_000

export class FileSums {
  private readonly path: string
  private sums: Map<string, string> | null = null
  private readonly running = new Map<string, Promise<string>>()

  /** @param cache the folder of caches of this home */
  constructor(cache: string) {
    this.path = join(cache, 'file-sums.json')
  }

  /** @throws the system's error when the file cannot be read, or the signal's reason */
  async of(path: string, signal: AbortSignal): Promise<{ bytes: number; sha256: string }> {
    const info = await stat(path)
    const key = `${path}|${info.size}|${info.mtimeMs}`
    const sums = await this.load()
    const known = sums.get(key)
    if (known !== undefined) return { bytes: info.size, sha256: known }
    const running = this.running.get(key) ?? this.compute(key, path, signal)
    this.running.set(key, running)
    return { bytes: info.size, sha256: await running }
  }

  /** Notes what a download has proven, so that it is not read a second time. */
  async note(path: string, sha256: string): Promise<void> {
    const info = await stat(path)
    const sums = await this.load()
    sums.set(`${path}|${info.size}|${info.mtimeMs}`, sha256)
    await this.save(sums)
  }

  private async compute(key: string, path: string, signal: AbortSignal): Promise<string> {
    try {
      const hash = createHash('sha256')
      for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal }))
        hash.update(chunk)
      const sha256 = hash.digest('hex')
      const sums = await this.load()
      sums.set(key, sha256)
      await this.save(sums)
      return sha256
    } finally {
      this.running.delete(key)
    }
  }

  private async load(): Promise<Map<string, string>> {
    if (this.sums !== null) return this.sums
    const text = await readFile(this.path, 'utf8').catch(() => '[]')
    let stored: unknown = []
    try {
      stored = JSON.parse(text)
    } catch {
      // A cache that cannot be read is an empty one.
    }
    const pairs = Array.isArray(stored)
      ? stored.filter((pair) => Array.isArray(pair) && pair.length === 2)
      : []
    this.sums ??= new Map(pairs as [string, string][])
    return this.sums
  }

  private async save(sums: Map<string, string>): Promise<void> {
    for (const key of sums.keys()) {
      if (sums.size <= mostKept) break
      sums.delete(key)
    }
    await mkdir(dirname(this.path), { recursive: true })
    const fresh = `${this.path}.${newId('new')}`
    await writeFile(fresh, JSON.stringify([...sums]))
    await rename(fresh, this.path)
  }
}
