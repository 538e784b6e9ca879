/** LM Studio's `stats` as `timings`, which is what Holon reads of every engine. Its own fields stay where they are. */

import { count, field, record } from '../attached/read-json.ts'
import { eventTranslation } from '../attached/sse-translation.ts'
import type { Translation } from '../attached-engine.ts'

export function lmStudioAnswer(): Translation {
  return eventTranslation(withTimings, (line) => line.includes('"stats"'))
}

function withTimings(event: Record<string, unknown>): Record<string, unknown> {
  const stats = record(event.stats)
  const decode = stats.tokens_per_second
  if (typeof decode !== 'number' || !(decode > 0)) return event
  const prompt = count(field(event.usage, 'prompt_tokens'))
  const firstS = stats.time_to_first_token
  const written = count(field(event.usage, 'completion_tokens'))
  const prefill =
    prompt !== null && typeof firstS === 'number' && firstS > 0 ? { prompt_ms: firstS * 1000 } : {}
  // Time to first token holds waiting and cached tokens too: no prefill speed can be honestly made of it.
  return {
    ...event,
    timings: {
      ...(prompt === null ? {} : { prompt_n: prompt }),
      ...prefill,
      ...(written === null ? {} : { predicted_n: written }),
      predicted_per_second: decode,
    },
  }
}
