/**
 * What the fleet learned of its speeds, from one life of the hub to the next: a file of its own, for an embedded database
 * takes some 300 MB to be opened. Losing it costs the fleet a few answers; so it is neither journaled nor synced.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { bases } from '../scheduler/gauge.ts'
import type { Lesson } from '../scheduler/lesson.ts'

const coefficient = z.number().nonnegative().max(1e6)
const kept = z.object({
  meanLog: z.number(),
  weight: z.number().positive().max(1e3),
  atS: z.number().nonnegative(),
})
const lesson: z.ZodType<Lesson> = z.object({
  node: z.string().max(200),
  model: z.string().max(1_000),
  sizeBytes: z.number().nonnegative(),
  estimate: z.object({
    prefill0: coefficient.positive(),
    prefill1: coefficient,
    decode0: coefficient.positive(),
    decode1: coefficient,
    crowding: coefficient,
    basis: z.enum(bases),
    shape: z.enum(['known', 'guessed']),
  }),
  decode: kept.nullable(),
  prefill: kept.nullable(),
  loadS: z.number().positive().nullable(),
})
/** Another version of the file is another shape: what it says is learned anew. */
const file = z.object({ version: z.literal(1), lessons: z.array(lesson).max(100_000) })

/** What is lost by a hard kill is what was learned since. */
const everyMs = 60_000

export interface LessonBookOptions {
  /** Folder of the store. */
  dir: string
  clock: Clock
  log: Log
  /** All that is worth keeping now. */
  learned(): Lesson[]
}

export class LessonBook {
  private readonly options: LessonBookOptions
  private readonly path: string
  private written = ''
  private stopTimer: (() => void) | null = null
  private writing: Promise<void> = Promise.resolve()

  constructor(options: LessonBookOptions) {
    this.options = options
    this.path = join(options.dir, 'learned.json')
  }

  /** Never rejects: what cannot be read is learned anew. */
  async read(): Promise<Lesson[]> {
    try {
      return file.parse(JSON.parse(await readFile(this.path, 'utf8'))).lessons
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT')
        this.options.log.warn({ error }, 'what the fleet learned of its speeds could not be read')
      return []
    }
  }

  /** Writes now and then from here on. */
  keep(): void {
    this.stopTimer = this.options.clock.after(everyMs, () => {
      this.write()
      this.keep()
    })
  }

  /** Writes the last of it. */
  async close(): Promise<void> {
    if (this.stopTimer === null) return
    this.stopTimer()
    this.stopTimer = null
    this.write()
    await this.writing
  }

  private write(): void {
    const lessons = this.options.learned()
    const text = `${JSON.stringify({ version: 1, lessons })}\n`
    if (text === this.written || (lessons.length === 0 && this.written === '')) return
    this.written = text
    this.writing = this.writing.then(() => this.replace(text))
  }

  private async replace(text: string): Promise<void> {
    try {
      await mkdir(this.options.dir, { recursive: true })
      await writeFile(`${this.path}.new`, text)
      await rename(`${this.path}.new`, this.path)
    } catch (error) {
      this.options.log.warn({ error }, 'what the fleet learned of its speeds could not be written')
    }
  }
}
