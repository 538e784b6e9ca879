/**
 * Rank 0's engine as the pool's: behind a door with a secret of this launch, proven with one token, and from then on
 * under a watch that sees it hang.
 */
import { type Clock, systemClock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { proveModel } from '../../engines/attached/canary.ts'
import { openDoor } from '../../engines/attached/door.ts'
import {
  type AttachedEngine,
  type Carried,
  type Translation,
  unknownModel,
} from '../../engines/attached-engine.ts'
import type { EngineLease } from '../../protocol/lease.ts'
import type { PoolEngineId } from '../../protocol/pool.ts'
import { AnswerWatch, silenceAllowed, silenceBetweenWords, type WatchedAnswer } from './answer-watch.ts'
import { type PartLife, within } from './part-life.ts'
import { Turns } from './turns.ts'

export interface HeadOrder {
  life: PartLife
  id: PoolEngineId
  engine: AttachedEngine
  /** The model's name at the engine, and for callers. */
  engineModel: string
  model: string
  parallel: number
  /** It breaks on two requests at once. */
  oneAtATime: boolean
  /** Tokens of an answer where a request names no number. */
  usualMaxTokens: number
  /** Null while the engine is well, else why it is not. Bounded in time; never throws. */
  look(): Promise<string | null>
  lookEveryMs: number
  /** A line of a stream that proves that the engine works; some engines send comments while they hang. */
  provesLife?(line: string): boolean
  signal: AbortSignal
  clock?: Clock
}

const proveEveryMs = 15_000
const firstTokenWithinMs = 120_000

/** Resolves when a token has come out. @throws HolonError model_load_failed, engine_failed */
export async function serveHead(order: HeadOrder): Promise<() => EngineLease> {
  const { life, model, engineModel, parallel, clock = systemClock } = order
  let proven = false
  // The first token may take its time: some engines read, compile or warm up for it.
  const watched = watchedEngine(order, (body) =>
    watch.begin(proven ? silenceAllowed(body, order.usualMaxTokens) : firstTokenWithinMs),
  )
  const door = await openDoor(watched, { answered: () => undefined, failed: () => undefined })
  await life.closes(() => door.close())
  const asked = { ...unknownModel(engineModel), embedding: false }
  const prove = (signal: AbortSignal): Promise<void> => proveModel(door, asked, signal)
  const watch = new AnswerWatch({
    clock,
    lookEveryMs: order.lookEveryMs,
    look: order.look,
    proveEveryMs,
    prove: () => prove(life.over),
    dead: (reason) => life.die(reason),
  })
  await life.closes(async () => watch.stop())
  const late = `${order.engine.title} had the model in memory and said nothing for ${firstTokenWithinMs / 1000} s.`
  await within(prove(order.signal), { ms: firstTokenWithinMs, signal: order.signal, late })
  proven = true
  return () => ({
    model,
    engine: order.id,
    origin: door.origin,
    headers: door.headersFor(engineModel, model),
    parameters: order.engine.parameters,
    parallel,
    died: life.died,
    release: () => undefined,
  })
}

function watchedEngine(
  order: HeadOrder,
  begin: (body: Readonly<Record<string, unknown>>) => WatchedAnswer,
): AttachedEngine {
  const { engine } = order
  const turns = order.oneAtATime ? new Turns() : null
  return {
    ...engine,
    carry: (path, body): Carried => {
      const carried = engine.carry(path, body)
      const tap = new WatchedTranslation(order, carried.translation, body.stream === true)
      return {
        ...carried,
        translation: tap,
        turn: async (signal) => {
          const giveBack = await turns?.take(signal)
          const answer = begin(body)
          tap.answer = answer
          return () => {
            answer.end()
            giveBack?.()
          }
        },
      }
    },
  }
}

/** Passes on what comes and notes that it came. Some servers end a broken stream like a whole one. */
class WatchedTranslation implements Translation {
  answer: WatchedAnswer | null = null
  private readonly order: HeadOrder
  private readonly inner: Translation | null
  private readonly streamed: boolean
  private done = false

  constructor(order: HeadOrder, inner: Translation | null, streamed: boolean) {
    this.order = order
    this.inner = inner
    this.streamed = streamed
  }

  line(line: string): string {
    if (this.order.provesLife?.(line) ?? true) this.answer?.progress(silenceBetweenWords)
    if (/^data: ?\[DONE\]/.test(line)) this.done = true
    return this.inner === null ? `${line}\n` : this.inner.line(line)
  }

  callerIsSlow(slow: boolean): void {
    if (slow) this.answer?.hold()
    else this.answer?.progress(silenceBetweenWords)
  }

  end(): string {
    const rest = this.inner?.end() ?? ''
    if (this.done || !this.streamed) return rest
    throw new HolonError(
      'engine_failed',
      `${this.order.engine.title} ended its answer before it was complete.`,
      {
        source: 'engine',
        hint: 'A member of the pool may be gone: see `holon pool show NAME`, and send the request again.',
      },
    )
  }

  whole(answer: unknown): unknown {
    return this.inner === null ? answer : this.inner.whole(answer)
  }
}
