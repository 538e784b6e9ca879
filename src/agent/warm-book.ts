/** What the machine remembers of its models' use over a restart, and which its owner keeps: one small file. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { Log } from '../core/log.ts'
import { Histories } from './supervisor/model-history.ts'

const figures = z.array(z.number().nonnegative()).max(100)
const book = z.object({
  kept: z.array(z.string()).max(100),
  models: z.record(
    z.string(),
    z.object({
      uses: z.number().nonnegative(),
      usesAtMs: z.number(),
      day: z.number().int(),
      daysSeen: z.number().nonnegative(),
      hourDays: figures.length(24),
      loadsS: figures,
      prefillTokS: figures,
      decodeTokS: figures,
    }),
  ),
})

export interface WarmBook {
  readonly histories: Histories
  /** Kept when it was last saved. */
  readonly kept: readonly string[]
  /** Writes when something changed. Never throws: what is lost is worth less than an answer. */
  save(kept: readonly string[]): void
}

/** A file that is damaged or missing counts as empty: everything in it is learnt again. */
export function openWarmBook(path: string, log: Log): WarmBook {
  const { kept, models } = read(path, log)
  const histories = new Histories(models)
  let last = JSON.stringify({ kept, models: histories })
  return {
    histories,
    kept,
    save(keptNow) {
      const text = JSON.stringify({ kept: keptNow, models: histories })
      if (text === last) return
      try {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
        writeFileSync(`${path}.new`, text, { mode: 0o600 })
        renameSync(`${path}.new`, path)
        last = text
      } catch (error) {
        log.warn({ error: String(error) }, 'what is known of the use of models could not be written')
      }
    },
  }
}

function read(path: string, log: Log): z.infer<typeof book> {
  try {
    return book.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn({ path }, 'what was known of the use of models cannot be read and is learnt again')
    }
    return { kept: [], models: {} }
  }
}
