/** The hub's way to a model's files here: it asks in one line, and ends the stream when it wants no more. */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { asHolonError } from '../../core/errors.ts'
import { jsonLine, readJsonLines } from '../../core/lines.ts'
import { toWireError } from '../../protocol/node-wire.ts'
import type { WeightMember } from '../../protocol/pool-weights.ts'
import {
  maxWeightsLineBytes,
  type WeightsLine,
  type WeightsQuestion,
  weightsPath,
  weightsQuestion,
} from '../../protocol/pool-weights-wire.ts'

type Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>
type Done = Extract<WeightsLine, { done: unknown }>['done']

/** Hashing a large model takes minutes in which there is nothing else to say. */
const aliveEveryMs = 5_000
const tellBytesEveryMs = 250

export function weightsRoutes(weights: WeightMember): Record<string, Handler> {
  return { [`POST ${weightsPath}`]: (request, response) => serve(weights, request, response) }
}

async function serve(
  weights: WeightMember,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => gone.abort(new Error('the hub let go')))
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  const say = (line: WeightsLine): void => {
    if (!response.stream.destroyed && !response.stream.writableEnded) response.write(jsonLine(line))
  }
  const alive = setInterval(() => say({ alive: true }), aliveEveryMs)
  try {
    const lines = readJsonLines(request, maxWeightsLineBytes)
    const question = weightsQuestion.parse((await lines.next()).value)
    // The hub ends its side when it wants no more, and says nothing else.
    void lines.next().then(
      () => gone.abort(new Error('the hub ended it')),
      () => gone.abort(new Error('the hub is gone')),
    )
    say({ done: await answer(weights, question, gone.signal, say) })
    if ('serve' in question) await untilAborted(gone.signal)
  } catch (thrown) {
    if (!response.stream.destroyed) say({ error: toWireError(asHolonError(thrown)) })
  } finally {
    clearInterval(alive)
    gone.abort(new Error('it is over'))
    if (!response.stream.destroyed) response.end()
  }
}

async function answer(
  weights: WeightMember,
  question: WeightsQuestion,
  signal: AbortSignal,
  say: (line: WeightsLine) => void,
): Promise<Done> {
  if ('list' in question) return { list: await weights.list(question.list, signal) }
  if ('has' in question) return { has: await weights.has(question.has, signal) }
  if ('serve' in question) return weights.serve(question.serve, signal)
  if ('prepare' in question) {
    await weights.prepare(question.prepare)
    return {}
  }
  let toldAt = 0
  const onProgress = (bytes: number): void => {
    const now = performance.now()
    if (now - toldAt < tellBytesEveryMs) return
    toldAt = now
    say({ bytes })
  }
  await weights.fetch(question.fetch, { signal, onProgress })
  return {}
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
