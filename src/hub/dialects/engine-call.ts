/** A short question to the engine that holds a model, beside the answers: it takes no turn in the queue. */
import type { Dispatcher } from 'undici'
import { HolonError } from '../../core/errors.ts'
import type { AnswerDeps } from '../gateway/answer.ts'
import { watchDeath } from '../gateway/death-watch.ts'
import { fromConnection, fromRefusal, notBegun } from '../gateway/engine-error.ts'
import type { Exchange } from '../gateway/exchange.ts'
import { queueUp, Wait } from '../gateway/hold-engine.ts'
import { laneOf } from '../gateway/routes.ts'
import type { Choice } from '../scheduler/scheduler.ts'

/** Sends `body` to a path of the engine and gives its JSON. */
export type Ask = (path: string, body: object) => Promise<unknown>

const maxAnswerBytes = 64 * 1024 * 1024

/** Counting is quick, even for a long prompt. */
const patienceMs = 60_000

/** The node and model that would answer now. @throws HolonError model_not_found, key_not_allowed and others */
export function choose(
  core: AnswerDeps,
  exchange: Exchange,
  asked: string,
): Pick<Choice, 'node' | 'model' | 'route'> {
  exchange.lane = laneOf(exchange.req.headers)
  return core.scheduler.look(asked, exchange.lane, exchange.caller)
}

/**
 * Holds the model, loading it if need be, while `use` asks its engine.
 * @throws HolonError model_not_found, model_loading, not_supported (the engine has no such path), engine_failed and others
 */
export async function withEngine<T>(
  core: AnswerDeps,
  exchange: Exchange,
  asked: string,
  use: (ask: Ask) => Promise<T>,
): Promise<T> {
  const { node, model, route } = choose(core, exchange, asked)
  exchange.route = route
  const ticket = queueUp(core.admission, exchange, node.id, model.id)
  const wait = new Wait(exchange, false, ticket, core.room, core.patience)
  try {
    const lease = await wait.hold(node, model.id)
    wait.over()
    exchange.onGone(null)
    try {
      return await use(async (path, body) => {
        const headers = { 'content-type': 'application/json', ...lease.headers, 'x-request-id': exchange.id }
        const call = { path, method: 'POST' as const, headers, body: JSON.stringify(body) }
        const timeout = AbortSignal.timeout(patienceMs)
        const signal = AbortSignal.any([exchange.signal, timeout])
        try {
          const { status, bytes } = await collect(core.upstreams.poolFor(lease), call, signal)
          return readAnswer(path, status, bytes, lease.engine)
        } catch (thrown) {
          if (thrown instanceof HolonError) throw thrown
          if (timeout.aborted) throw notBegun()
          throw fromConnection(thrown as Error, watchDeath(lease).reason)
        }
      })
    } finally {
      lease.release()
    }
  } finally {
    wait.over()
    ticket.leave()
  }
}

/** The whole response, over whatever way leads to the engine. */
function collect(
  way: Pick<Dispatcher, 'dispatch'>,
  call: Dispatcher.DispatchOptions,
  signal: AbortSignal,
): Promise<{ status: number; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let status = 0
    way.dispatch(call, {
      onRequestStart: (controller) => {
        const stop = () => controller.abort(new Error('no longer wanted'))
        if (signal.aborted) stop()
        else signal.addEventListener('abort', stop, { once: true })
      },
      onResponseStart: (_, code) => {
        status = code
      },
      onResponseData: (controller, chunk) => {
        length += chunk.length
        if (length <= maxAnswerBytes) chunks.push(chunk)
        else {
          const error = new HolonError('engine_failed', 'The engine answered more than can be read.', {
            source: 'engine',
          })
          reject(error)
          controller.abort(error)
        }
      },
      onResponseEnd: () => resolve({ status, bytes: Buffer.concat(chunks, length) }),
      onResponseError: (_, error) => reject(error),
    })
  })
}

function readAnswer(path: string, status: number, body: Buffer, engine: string): unknown {
  if (status === 404 || status === 405 || status === 501) {
    throw new HolonError('not_supported', `The engine ${engine} has no ${path}, which this needs.`, {
      source: 'engine',
    })
  }
  if (status !== 200) throw fromRefusal({ status, body, retryAfter: undefined }).error
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new HolonError('engine_failed', `The engine answered ${path} with something else than JSON.`, {
      source: 'engine',
    })
  }
}
