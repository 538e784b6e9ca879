/**
 * How requests reach rank 0. mlx_lm.server has no key, breaks on two requests at once (mlx-lm #1737), and hangs without a
 * word when a rank stops; so it is asked one question at a time, through a door with a secret, under a watch.
 */
import { HolonError } from '../../core/errors.ts'
import type { AttachedEngine, Carried, Translation } from '../../engines/attached-engine.ts'
import { attachMlx } from '../../engines/mlx-server/index.ts'
import { mlxParameters } from '../../engines/mlx-server/parameters.ts'
import {
  type AnswerWatch,
  silenceAllowed,
  silenceBetweenWords,
  type WatchedAnswer,
} from '../shared/answer-watch.ts'
import { Turns } from '../shared/turns.ts'

/** What rank 0 calls the model that all ranks were started with; a path would have to be the same on every machine. */
export const itsOwnModel = 'default_model'

/** `--max-tokens` where a request names none. */
const usualMaxTokens = 512

/** In a group mlx_lm.server answers these with an error at best. */
const refused: Record<string, string> = {
  adapters: 'Adapters',
  adapter: 'Adapters',
  draft_model: 'Draft models',
  num_draft_tokens: 'Draft models',
  // A request with a seed is not batched, and an unbatched one whose caller leaves stops rank 0 and not the others.
  seed: 'Seeds',
}

export const pooledMlxParameters: ReadonlySet<string> = new Set(
  [...mlxParameters].filter((name) => !(name in refused)),
)

/** Rank 0 as an engine behind a door. `watch` is told of every answer. */
export function pooledMlx(url: string, watch: () => AnswerWatch): AttachedEngine {
  const turns = new Turns()
  const solo = attachMlx({ url, headers: {}, models: [itsOwnModel], parallel: 1 })
  return {
    ...solo,
    title: 'MLX',
    parameters: pooledMlxParameters,
    parallel: 1,
    carry: (path, body): Carried => {
      refuse(body)
      const answer = new WatchedTranslation(body.stream === true)
      return {
        ...solo.carry(path, body),
        translation: answer,
        turn: async (signal) => {
          const giveBack = await turns.take(signal)
          const watched = watch().begin(silenceAllowed(body, usualMaxTokens))
          answer.watched = watched
          return () => {
            watched.end()
            giveBack()
          }
        },
      }
    },
  }
}

function refuse(body: Record<string, unknown>): void {
  for (const [param, what] of Object.entries(refused)) {
    if (body[param] == null) continue
    throw new HolonError('unsupported_parameter', `${what} cannot be used in a pool of MLX.`, { param })
  }
}

/** Passes on what comes and notes that it came. Python's server ends a broken stream like a whole one. */
class WatchedTranslation implements Translation {
  watched: WatchedAnswer | null = null
  private readonly streamed: boolean
  private done = false

  constructor(streamed: boolean) {
    this.streamed = streamed
  }

  line(line: string): string {
    this.watched?.progress(silenceBetweenWords)
    if (line.startsWith('data: [DONE]')) this.done = true
    return `${line}\n`
  }

  end(): string {
    if (this.done || !this.streamed) return ''
    throw new HolonError('engine_failed', 'MLX ended its answer before it was complete.', {
      source: 'engine',
      hint: 'A member of the pool may be gone: see `holon pool show`, and send the request again.',
    })
  }

  whole(answer: unknown): unknown {
    return answer
  }
}
