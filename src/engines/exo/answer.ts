/**
 * exo's answers put right: events that call themselves whole completions, `[DONE]` after an error, and a status of 200
 * before anything was generated, so that an answer without a finish reason is one that broke.
 */
import { HolonError } from '../../core/errors.ts'
import { field, record, rows } from '../attached/read-json.ts'
import type { Translation } from '../attached-engine.ts'

export function exoAnswer(): Translation {
  return new ExoAnswer()
}

class ExoAnswer implements Translation {
  private finished = false
  private failed = false

  line(line: string): string {
    if (!line.startsWith('data:')) return `${line}\n`
    if (line.includes('[DONE]')) {
      if (this.failed) return ''
      if (!this.finished) throw brokeOff()
      return `${line}\n`
    }
    let event: Record<string, unknown>
    try {
      event = record(JSON.parse(line.slice(5)))
    } catch {
      return `${line}\n`
    }
    if (event.error != null) this.failed = true
    if (rows(event.choices).some((choice) => choice.finish_reason != null)) this.finished = true
    return `data: ${JSON.stringify(this.failed ? event : { ...event, object: 'chat.completion.chunk' })}\n`
  }

  end(): string {
    if (this.finished || this.failed) return ''
    throw brokeOff()
  }

  whole(answer: unknown): unknown {
    if (rows(field(answer, 'choices')).some((choice) => choice.finish_reason != null)) return answer
    throw brokeOff()
  }
}

function brokeOff(): HolonError {
  return new HolonError('engine_failed', 'exo ended its answer before it was complete.', {
    source: 'engine',
    hint: 'One of its machines may be gone: see its dashboard, and send the request again.',
  })
}
