/**
 * The write-behind journal: one line of JSON per thing to remember, on disk within a quarter of a second. What a
 * process has written survives its own SIGKILL (the kernel has it), so a crash loses no more than the last lines still
 * in memory, whatever the database was doing. Lines are kept in files of a few megabytes; a sealed file is never
 * written again and is deleted once the database has committed its lines.
 */
import { type FileHandle, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'

export interface JournalOptions {
  dir: string
  clock: Clock
  log: Log
  /** Milliseconds a line may stay in memory. */
  flushMs?: number
  /** A file is sealed beyond this many bytes. */
  fileBytes?: number
  /** All files together; beyond it new lines are dropped and counted. About 400 bytes per request. */
  maxBytes?: number
}

const suffix = '.ndjson'
/** Lines in memory while the disk refuses them. Bytes. */
const maxPendingBytes = 4 * 1024 * 1024
const retryMs = 1_000

export class Journal {
  /** Lines that were lost because disk or journal were full. */
  dropped = 0
  private readonly options: Required<JournalOptions>
  private readonly life: string
  private nextFile = 0
  private pending: string[] = []
  private pendingBytes = 0
  private handle: FileHandle | null = null
  private path: string | null = null
  private bytes = 0
  /** Bytes in all files. */
  private total = 0
  private work: Promise<void> = Promise.resolve()
  private stopTimer: (() => void) | null = null
  private closed = false

  constructor(options: JournalOptions) {
    this.options = { flushMs: 250, fileBytes: 4 * 1024 * 1024, maxBytes: 256 * 1024 * 1024, ...options }
    // Sorts by time of birth, so that files are loaded in order.
    this.life = `${this.options.clock.now().toString(36).padStart(9, '0')}-${process.pid.toString(36)}`
  }

  /** Remembers a line; never throws and never waits. */
  append(line: string): void {
    if (this.pendingBytes + line.length > maxPendingBytes || this.total > this.options.maxBytes) {
      if (this.dropped++ === 0) this.options.log.error({}, 'the usage journal is full; new usage is not kept')
      return
    }
    this.pending.push(line)
    this.pendingBytes += line.length + 1
    if (this.stopTimer === null && !this.closed) this.schedule(this.options.flushMs)
  }

  /** Resolves when everything appended so far is written, or has failed to be. */
  flush(): Promise<void> {
    this.work = this.work.then(() => this.write())
    return this.work
  }

  /** Seals the present file and names all sealed ones, oldest first. */
  async sealed(): Promise<string[]> {
    this.work = this.work.then(() => this.write()).then(() => this.seal())
    await this.work
    return this.files()
  }

  async remove(path: string): Promise<void> {
    const { size } = await stat(path)
    await unlink(path)
    this.total -= size
  }

  /** Bytes in files and in memory. */
  get size(): number {
    return this.total + this.pendingBytes
  }

  async open(): Promise<void> {
    await mkdir(this.options.dir, { recursive: true })
    for (const path of await this.files()) this.total += (await stat(path)).size
  }

  async close(): Promise<void> {
    this.closed = true
    this.stopTimer?.()
    this.stopTimer = null
    this.work = this.work.then(() => this.write()).then(() => this.seal())
    await this.work
  }

  private schedule(ms: number): void {
    this.stopTimer = this.options.clock.after(ms, () => {
      this.stopTimer = null
      this.flush()
    })
  }

  private async write(): Promise<void> {
    if (this.pending.length === 0) return
    const lines = this.pending
    const bytes = this.pendingBytes
    this.pending = []
    this.pendingBytes = 0
    // A blank line first: a write that failed half-way, the first of its file too, must not swallow the line after it.
    const text = Buffer.from(`${this.handle === null ? '' : '\n'}${lines.join('\n')}\n`)
    try {
      if (this.handle === null) {
        this.path = join(
          this.options.dir,
          `${this.life}-${String(this.nextFile++).padStart(6, '0')}${suffix}`,
        )
        this.handle = await open(this.path, 'a', 0o600)
        this.bytes = 0
      }
      await this.handle.appendFile(text)
      this.bytes += text.length
      this.total += text.length
      if (this.bytes > this.options.fileBytes) await this.seal()
    } catch (error) {
      this.pending = [...lines, ...this.pending]
      this.pendingBytes += bytes
      this.options.log.warn({ error }, 'the usage journal cannot be written; trying again')
      if (this.stopTimer === null && !this.closed) this.schedule(retryMs)
    }
  }

  private async seal(): Promise<void> {
    const handle = this.handle
    this.handle = null
    this.path = null
    this.bytes = 0
    await handle?.close().catch(() => undefined)
  }

  private async files(): Promise<string[]> {
    const names = await readdir(this.options.dir).catch(() => [])
    return names
      .filter((name) => name.endsWith(suffix))
      .sort()
      .map((name) => join(this.options.dir, name))
      .filter((path) => path !== this.path)
  }
}
