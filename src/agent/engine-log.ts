/**
 * What an engine says about itself goes to a file per engine and model under HOLON_HOME/logs, because the reason of
 * a crash is there or nowhere. The file is bounded: one older generation is kept.
 */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../core/clock.ts'

const maxFileBytes = 5_000_000
/** An engine that writes faster than the disk takes it loses lines, not memory. */
const maxWaitingBytes = 1_000_000
const maxLineBytes = 8_000
const flushEveryMs = 200

export interface EngineLog {
  /** One line, without its end. Never waits. */
  line(text: string): void
  /** Writes what is waiting. */
  close(): Promise<void>
}

export function engineLogPath(folder: string, engine: string, model: string): string {
  return join(folder, `${engine}-${model.replace(/[^\w.+-]/g, '_')}.log`)
}

export function openEngineLog(path: string, clock: Clock, limits = { maxFileBytes }): EngineLog {
  let waiting: string[] = []
  let waitingBytes = 0
  let dropped = 0
  let cancelFlush: (() => void) | null = null
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    if (dropped > 0) waiting.push(`(${dropped} lines were lost: they came faster than the disk took them)`)
    const text = waiting.map((line) => `${line}\n`).join('')
    waiting = []
    waitingBytes = 0
    dropped = 0
    if (text === '') return
    await mkdir(dirname(path), { recursive: true })
    const size = await stat(path).then(
      (info) => info.size,
      () => 0,
    )
    if (size > 0 && size + text.length > limits.maxFileBytes) await rename(path, `${path}.1`)
    await appendFile(path, text)
  }

  function flush(): Promise<void> {
    cancelFlush?.()
    cancelFlush = null
    // A log that cannot be written must not harm what it describes.
    writing = writing.then(write).catch(() => undefined)
    return writing
  }

  return {
    line(text) {
      if (waitingBytes > maxWaitingBytes) {
        dropped++
        return
      }
      const line = `${new Date(clock.now()).toISOString()} ${text.slice(0, maxLineBytes)}`
      waiting.push(line)
      waitingBytes += line.length
      cancelFlush ??= clock.after(flushEveryMs, () => void flush())
    },
    close: flush,
  }
}
