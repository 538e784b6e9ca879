/** For engines that stream OpenAI's events and differ only in what stands in them. */
import type { Translation } from '../attached-engine.ts'
import { record } from './read-json.ts'

/** Changes each event by `change`; comments, `[DONE]` and what is no JSON pass unchanged. */
export function eventTranslation(
  change: (event: Record<string, unknown>) => Record<string, unknown>,
  concerns: (line: string) => boolean,
): Translation {
  return {
    line(line) {
      if (!line.startsWith('data:') || !concerns(line)) return `${line}\n`
      try {
        return `data: ${JSON.stringify(change(record(JSON.parse(line.slice(5)))))}\n`
      } catch {
        return `${line}\n`
      }
    },
    end: () => '',
    whole: (answer) => change(record(answer)),
  }
}
