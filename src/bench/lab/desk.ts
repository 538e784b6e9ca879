/**
 * A client's desk: a process in a namespace of its own, told by IPC what to ask of the hub. It notes when each piece of an
 * answer came, by its own clock, which is the system's and the same in every namespace.
 */
import { createParser } from 'eventsource-parser'

export type Errand =
  | { id: number; kind: 'call'; method: 'GET' | 'POST'; path: string; body?: unknown }
  | { id: number; kind: 'ask'; body: Record<string, unknown>; tellFirst?: boolean }

export interface Answer {
  error: string | null
  /** Milliseconds since the epoch, with fractions; null when nothing came. */
  firstAtMs: number | null
  endedAtMs: number
  /** As the engine counts them, of its own clock; null when it did not say. */
  decodeTokS: number | null
  prefillTokS: number | null
  promptTokens: number
  completionTokens: number
}

export type Told = { id: number; first?: true; value?: unknown; failure?: string }

const [url = '', key = ''] = process.argv.slice(2)
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
const now = (): number => performance.timeOrigin + performance.now()
const tell = (told: Told): void => void process.send?.(told)

async function call({ method, path, body }: Errand & { kind: 'call' }): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    ...{ method, headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text === '' ? null : JSON.parse(text)
}

interface Chunk {
  choices?: { text?: string }[]
  error?: { message?: string }
  usage?: { prompt_tokens?: number; completion_tokens?: number }
  timings?: {
    predicted_per_second?: number
    prompt_per_second?: number
    prompt_n?: number
    predicted_n?: number
  }
}

async function ask({ id, body, tellFirst }: Errand & { kind: 'ask' }): Promise<Answer> {
  const answer: Answer = {
    ...{ error: null, firstAtMs: null, endedAtMs: 0, decodeTokS: null, prefillTokS: null },
    ...{ promptTokens: 0, completionTokens: 0 },
  }
  let done = false
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === '[DONE]') {
        done = true
        return
      }
      const chunk = JSON.parse(data) as Chunk
      if (chunk.error) answer.error = chunk.error.message ?? 'an error without a message'
      if (answer.firstAtMs === null && chunk.choices?.length) {
        answer.firstAtMs = now()
        if (tellFirst) tell({ id, first: true })
      }
      note(answer, chunk)
    },
  })
  try {
    const response = await fetch(`${url}/v1/completions`, {
      // llama-server ends its side a moment after a stream, and fetch may send the next question into that end.
      ...{ method: 'POST', headers: { ...headers, connection: 'close' } },
      body: JSON.stringify({ stream: true, stream_options: { include_usage: true }, ...body }),
    })
    if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`)
    const decoder = new TextDecoder()
    for await (const piece of response.body)
      parser.feed(decoder.decode(piece as Uint8Array, { stream: true }))
    if (!done) answer.error ??= 'the answer broke off'
  } catch (thrown) {
    answer.error ??= String(thrown)
  }
  answer.endedAtMs = now()
  return answer
}

function note(answer: Answer, { usage, timings }: Chunk): void {
  answer.promptTokens = usage?.prompt_tokens ?? timings?.prompt_n ?? answer.promptTokens
  answer.completionTokens = usage?.completion_tokens ?? timings?.predicted_n ?? answer.completionTokens
  answer.decodeTokS = timings?.predicted_per_second ?? answer.decodeTokS
  answer.prefillTokS = timings?.prompt_per_second ?? answer.prefillTokS
}

process.on('message', (errand: Errand) => {
  const { id } = errand
  const work = errand.kind === 'call' ? call(errand) : ask(errand)
  work.then(
    (value) => tell({ id, value }),
    (thrown) => tell({ id, failure: String(thrown) }),
  )
})
process.on('disconnect', () => process.exit(0))
