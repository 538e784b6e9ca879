/** Loading a model before it is asked, with at least the context a caller wants. A stream is kept alive meanwhile. */
import { HolonError } from '../../core/errors.ts'
import type { LoadProgress, NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { AnswerDeps } from '../gateway/answer.ts'
import type { Exchange } from '../gateway/exchange.ts'
import { stillLoading } from '../gateway/hold-engine.ts'

export interface LoadWish {
  node: NodeHandle
  model: NodeModel
  /** Tokens; more than the model was trained for counts as all it was trained for. */
  contextTokens: number | undefined
  stream: boolean
}

/** Between two signs of life on a waiting stream. Milliseconds. */
const signEveryMs = 3_000

/**
 * Does nothing when the model is in memory with as much context or more: a model is never loaded anew to make it smaller.
 * The caller's limits hold for a load as for an answer: what a key may not use it cannot have loaded either.
 * @throws HolonError what the caller's limits throw; model_loading when it takes long and nothing is streamed; whatever the node throws; bad_http when
 * the client left
 */
export async function loadWithContext(core: AnswerDeps, exchange: Exchange, wish: LoadWish): Promise<void> {
  const { node, model, stream } = wish
  exchange.begin()
  const running = node.state().running.find((each) => each.id === model.id && each.state === 'ready')
  const wanted = wish.contextTokens && Math.min(wish.contextTokens, model.contextMax ?? wish.contextTokens)
  if (running && (wanted === undefined || (running.contextTokens ?? wanted) >= wanted)) return
  let lastMs = core.patience.streamHeadMs - signEveryMs
  let giveUp: (error: HolonError) => void = () => undefined
  const waiter = {
    tick: (waitedMs: number) => {
      if (!stream) {
        if (waitedMs >= core.patience.coldMs) giveUp(stillLoading(progressOf(node, model.id)))
      } else if (waitedMs - lastMs >= signEveryMs) {
        lastMs = waitedMs
        exchange.comment('loading')
      }
    },
  }
  const seat = core.room.enter(waiter)
  try {
    // Giving up waiting does not give up the load: whoever comes back finds the model warm.
    await new Promise<void>((resolve, reject) => {
      giveUp = reject
      exchange.onGone(() => reject(new HolonError('bad_http', 'The client left.')))
      node.load(model.id, { contextTokens: wanted }).then(resolve, reject)
    })
  } finally {
    core.room.leave(seat)
    exchange.onGone(null)
  }
  if (exchange.gone) throw new HolonError('bad_http', 'The client left.')
}

function progressOf(node: NodeHandle, id: string): LoadProgress | null {
  return node.state().models.find((model) => model.id === id)?.progress ?? null
}
