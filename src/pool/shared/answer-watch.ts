/**
 * Sees from outside that an engine has stopped working. Distributed engines do not tell: a rank of MLX that is stopped,
 * or an RDMA peer that is gone, leaves the others spinning for ever with a health page that says ok. So every answer has
 * a time within which something must come out of it, an idle engine is asked for one token now and then, and its own
 * word is asked for all the while.
 */
import type { Clock } from '../../core/clock.ts'

export interface WatchOptions {
  clock: Clock
  /** How often its own word is asked for, milliseconds. */
  lookEveryMs: number
  /** Null while it is well, else why it cannot answer any more. Bounded in time; never throws. */
  look(): Promise<string | null>
  /** An engine idle for so long is asked for one token; the request must be one that `begin` is told of. */
  proveEveryMs: number
  prove(): Promise<void>
  /** Called once, with one sentence. */
  dead(reason: string): void
}

/** One answer under way. */
export interface WatchedAnswer {
  /** Something came out. From now on so much silence is allowed, milliseconds. */
  progress(allowMs: number): void
  /** Its caller takes nothing for now: until the next progress its silence says nothing of the engine. */
  hold(): void
  end(): void
}

export class AnswerWatch {
  private readonly options: WatchOptions
  private readonly answers = new Set<{ until: number; allowMs: number }>()
  private lastProof: number
  private proving = false
  private looking = false
  private over = false
  private cancel: () => void = () => undefined

  constructor(options: WatchOptions) {
    this.options = options
    this.lastProof = options.clock.now()
    this.rest()
  }

  /** An answer begins at the engine; so much silence is allowed at first, milliseconds. */
  begin(allowMs: number): WatchedAnswer {
    const { clock } = this.options
    const answer = { until: clock.now() + allowMs, allowMs }
    this.answers.add(answer)
    return {
      progress: (next) => {
        answer.allowMs = next
        answer.until = clock.now() + next
        this.lastProof = clock.now()
      },
      hold: () => {
        answer.until = Number.POSITIVE_INFINITY
      },
      end: () => void this.answers.delete(answer),
    }
  }

  stop(): void {
    this.over = true
    this.cancel()
  }

  private rest(): void {
    this.cancel = this.options.clock.after(this.options.lookEveryMs, () => {
      this.tick()
      if (!this.over) this.rest()
    })
  }

  private tick(): void {
    const { clock, proveEveryMs, prove, look } = this.options
    const now = clock.now()
    for (const { until, allowMs } of this.answers) {
      if (now > until) {
        this.dead(`Nothing came out of an answer for ${Math.round(allowMs / 1000)} s: the group hangs.`)
        return
      }
    }
    if (this.answers.size === 0 && !this.proving && now - this.lastProof >= proveEveryMs) {
      this.proving = true
      prove()
        .then(
          () => {
            this.lastProof = clock.now()
          },
          (thrown) => this.dead(`It was asked for one token and failed: ${messageOf(thrown)}`),
        )
        .finally(() => {
          this.proving = false
        })
    }
    if (this.looking) return
    this.looking = true
    look()
      .then((reason) => {
        if (reason !== null) this.dead(reason)
      })
      .finally(() => {
        this.looking = false
      })
  }

  private dead(reason: string): void {
    if (this.over) return
    this.stop()
    this.options.dead(reason)
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/**
 * How long an answer may be silent before its first word, milliseconds: 20 s, and time for its prompt at 50 tokens a
 * second, slower than which nobody would wait. An answer that is not streamed says nothing until it is whole, so it gets
 * a second more for every token that it may have.
 */
export function silenceAllowed(body: Readonly<Record<string, unknown>>, usualMaxTokens: number): number {
  const promptMs = (JSON.stringify(body).length / 4 / 50) * 1000
  const asked = body.max_completion_tokens ?? body.max_tokens
  const tokens = typeof asked === 'number' && asked > 0 ? asked : usualMaxTokens
  return 20_000 + promptMs + (body.stream === true ? 0 : tokens * 1000)
}

/** Between two words of a streamed answer, milliseconds. */
export const silenceBetweenWords = 30_000
