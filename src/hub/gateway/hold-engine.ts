/**
 * Getting hold of an engine, with what the client sees meanwhile: comments on a stream, or after a while `model_loading`
 * with the progress. Giving up waiting does not give up the load: the next request finds the model warm.
 */
import { HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { EngineLease, NodeHandle } from '../../protocol/node.ts'
import { type Admission, lineKey, type Ticket } from './admission.ts'
import type { Exchange } from './exchange.ts'
import type { Waiter, WaitingRoom, WaitingSeat } from './waiting-room.ts'

export interface Patience {
  /** A stream that waits longer gets its head and comments. Milliseconds. */
  streamHeadMs: number
  /** Anything else that waits longer for a load is told to come back. Milliseconds. */
  coldMs: number
  /** The longest wait for a turn at a busy engine. Milliseconds. */
  queueMs: number
}

/**
 * A place in the line of a model on a node, for the caller of an exchange.
 * @throws HolonError overloaded, and what the caller's limits throw
 */
export function queueUp(admission: Admission, exchange: Exchange, node: string, model: string): Ticket {
  exchange.begin()
  return admission.enter(lineKey(node, model), exchange.caller.id, exchange.lane)
}

/** Between two comments on a waiting stream. Milliseconds. */
const commentEveryMs = 3_000

/** Also what the node is given with `acquire`: the signal, and where to report the progress of a load. */
export class Wait implements Waiter {
  private readonly exchange: Exchange
  private readonly stream: boolean
  private ticket: Ticket
  private readonly room: WaitingRoom
  private readonly patience: Patience
  private progress: LoadProgress | null = null
  private phase: 'load' | 'queue' | 'prefill' = 'load'
  private giveUp: ((error: HolonError) => void) | null = null
  private seat: WaitingSeat | null = null
  private lastComment = ''
  private lastCommentMs = Number.NEGATIVE_INFINITY

  constructor(exchange: Exchange, stream: boolean, ticket: Ticket, room: WaitingRoom, patience: Patience) {
    this.exchange = exchange
    this.stream = stream
    this.ticket = ticket
    this.room = room
    this.patience = patience
  }

  get signal(): AbortSignal {
    return this.exchange.signal
  }

  readonly onProgress = (progress: LoadProgress): void => {
    this.progress = progress
  }

  /**
   * The engine, loaded if need be.
   * @throws HolonError model_loading when patience ends; whatever the node throws
   */
  hold(node: NodeHandle, model: string): Promise<EngineLease> {
    this.phase = 'load'
    this.progress = null
    // Waiting is counted anew from here: a stream that went on elsewhere was silent for as long as it had waited before.
    this.lastCommentMs = Number.NEGATIVE_INFINITY
    this.over()
    this.seat = this.room.enter(this)
    return new Promise((resolve, reject) => {
      this.giveUp = reject
      this.exchange.onGone(this.onGone)
      node.acquire(model, this).then(
        (lease) => {
          if (this.giveUp !== reject) {
            lease.release()
            return
          }
          this.giveUp = null
          resolve(lease)
        },
        (error: HolonError) => {
          if (this.giveUp === reject) this.fail(error)
        },
      )
    })
  }

  /** Ends the wait under way, if there is one. */
  private fail(error: HolonError): void {
    const { giveUp } = this
    this.giveUp = null
    giveUp?.(error)
  }

  private readonly onGone = (): void => this.fail(new HolonError('bad_http', 'The client left.'))

  /** The request goes to another node. */
  moveTo(ticket: Ticket): void {
    this.ticket = ticket
  }

  /** Our turn at the engine. @throws HolonError overloaded when patience ends */
  turn(parallel: number): Promise<void> | null {
    const admitted = this.ticket.admit(parallel)
    if (admitted === null) return null
    this.phase = 'queue'
    return new Promise((resolve, reject) => {
      this.giveUp = reject
      this.exchange.onGone(this.onGone)
      admitted.then(() => {
        this.giveUp = null
        resolve()
      })
    })
  }

  /** The request is at the engine: only comments from here on, until `over`. */
  sent(): void {
    this.phase = 'prefill'
    this.giveUp = null
  }

  over(): void {
    if (this.seat !== null) this.room.leave(this.seat)
    this.seat = null
  }

  tick(waitedMs: number): void {
    if (this.stream) this.tellStream(waitedMs)
    if (this.giveUp !== null && this.isTooLate()) {
      const what = this.phase === 'load' ? 'the model was loading' : 'it waited for its turn'
      this.fail(
        new HolonError('deadline_exceeded', `The deadline of the request passed while ${what}.`, {
          retryAfterS: Math.min(60, Math.max(1, Math.ceil(this.ticket.etaS() ?? 5))),
        }),
      )
      return
    }
    if (this.phase === 'load' && !this.stream && waitedMs >= this.patience.coldMs) {
      this.fail(stillLoading(this.progress))
    }
    if (this.phase === 'queue' && waitedMs >= this.patience.queueMs) {
      this.fail(new HolonError('overloaded', 'The engine was busy all the time that this request may wait.'))
    }
  }

  private isTooLate(): boolean {
    const { deadlineMs, startedAt } = this.exchange
    return deadlineMs !== null && performance.now() - startedAt > deadlineMs
  }

  private tellStream(waitedMs: number): void {
    // Once the request is at the engine, a head too early would turn its 400 into an event: wait ten times longer.
    const patience = this.phase === 'prefill' ? this.patience.streamHeadMs * 10 : this.patience.streamHeadMs
    if (waitedMs < patience && !this.exchange.streaming) return
    const comment = this.words()
    const due = waitedMs - this.lastCommentMs >= commentEveryMs
    if (comment === this.lastComment && !due) return
    this.lastComment = comment
    this.lastCommentMs = waitedMs
    this.exchange.comment(comment)
  }

  private words(): string {
    if (this.phase === 'prefill') return 'reading the prompt'
    if (this.phase === 'queue') return this.place()
    if (this.progress === null) return 'loading'
    const percent = this.progress.percent === null ? '' : ` ${Math.round(this.progress.percent)} %`
    return `loading${percent} (${oneLine(this.progress.phase)})`
  }

  /** For people and programs alike; an ETA only once it can be known. */
  private place(): string {
    const etaS = this.ticket.etaS()
    const eta = etaS === null ? '' : ` eta=${Math.ceil(etaS)}s`
    return `queued position=${this.ticket.position() + 1}${eta}`
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ').slice(0, 200)
}

export function stillLoading(progress: LoadProgress | null): HolonError {
  const percent = progress?.percent == null ? '' : ` (${Math.round(progress.percent)} %)`
  const etaS = progress?.etaS ?? null
  return new HolonError('model_loading', `The model is still loading${percent}.`, {
    retryAfterS: etaS === null ? 5 : Math.min(120, Math.max(1, Math.ceil(etaS))),
    loading: progress ?? { phase: 'loading', percent: null, etaS: null },
  })
}
