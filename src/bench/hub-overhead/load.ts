/** Load for the relay bench: as many requests at once as asked, for a time or a number, by undici's cheapest way. */
import { Pool } from 'undici'

export interface LoadPlan {
  origin: string
  body: Buffer
  connections: number
  /** Stops after this time (milliseconds) or this number of answers, whichever is set. */
  forMs?: number
  answers?: number
  /** Beside the content type. */
  headers?: Record<string, string>
}

export interface LoadResult {
  answers: number
  /** Events of streams. */
  events: number
  seconds: number
  /** Milliseconds per answer, sorted. */
  latencies: number[]
}

const json = { 'content-type': 'application/json' }
const eventMark = Buffer.from('data: ')

/** @throws Error at the first answer that is no 200 or breaks: a bench over errors measures nothing */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const pool = new Pool(plan.origin, { connections: plan.connections, pipelining: 1 })
  const result: LoadResult = { answers: 0, events: 0, seconds: 0, latencies: [] }
  const headers = { ...json, ...plan.headers }
  const startedAt = performance.now()
  const over = () =>
    plan.answers === undefined
      ? performance.now() - startedAt >= (plan.forMs ?? 0)
      : result.answers + inFlight > plan.answers
  let inFlight = 0
  const worker = async () => {
    for (;;) {
      inFlight++
      if (over()) {
        inFlight--
        return
      }
      const sentAt = performance.now()
      // Not `+= await`: that adds to the sum as it was before the wait.
      const events = await one(pool, plan.body, headers)
      result.events += events
      result.latencies.push(performance.now() - sentAt)
      result.answers++
      inFlight--
    }
  }
  try {
    await Promise.all(Array.from({ length: plan.connections }, worker))
  } finally {
    await pool.destroy()
  }
  result.seconds = (performance.now() - startedAt) / 1000
  result.latencies.sort((a, b) => a - b)
  return result
}

function one(pool: Pool, body: Buffer, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    let events = 0
    let status = 0
    pool.dispatch(
      { path: '/v1/chat/completions', method: 'POST', headers, body },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, statusCode) => {
          status = statusCode
        },
        onResponseData: (_controller, chunk) => {
          for (let at = chunk.indexOf(eventMark); at >= 0; at = chunk.indexOf(eventMark, at + 6)) events++
        },
        onResponseEnd: () => (status === 200 ? resolve(events) : reject(new Error(`status ${status}`))),
        onResponseError: (_controller, error) => reject(error),
      },
    )
  })
}
