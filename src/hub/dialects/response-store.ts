/**
 * Responses kept for `previous_response_id`, `item_reference` and GET: in memory, bounded by number and bytes, the least
 * recently used first to go, and gone with the hub. Prompts are nobody's to keep on disk unasked.
 */
import { HolonError } from '../../core/errors.ts'

export interface Turn {
  id: string
  /** Whose it is: nobody else finds it. */
  owner: string
  response: object
  /** The request's own input items. */
  input: readonly unknown[]
  output: readonly { id: string }[]
  previous: string | null
}

export interface StoreBounds {
  turns: number
  bytes: number
}

export const defaultBounds: StoreBounds = { turns: 1_000, bytes: 64 * 1024 * 1024 }
/** Turns of one conversation. */
const maxDepth = 1_000

export class ResponseStore {
  private readonly bounds: StoreBounds
  /** In the order of use: the first is the one to go. */
  private readonly turns = new Map<string, { turn: Turn; bytes: number }>()
  private readonly items = new Map<string, { owner: string; item: unknown; turn: string }>()
  private bytes = 0

  constructor(bounds: StoreBounds = defaultBounds) {
    this.bounds = bounds
  }

  /** A turn larger than all that may be kept is not kept. */
  keep(turn: Turn): void {
    // UTF-16 in memory, and once more for the parsed objects: twice the JSON is near the truth.
    const bytes = 2 * (JSON.stringify(turn.response).length + JSON.stringify(turn.input).length)
    if (bytes > this.bounds.bytes) return
    this.turns.set(turn.id, { turn, bytes })
    this.bytes += bytes
    for (const item of turn.output) this.items.set(item.id, { owner: turn.owner, item, turn: turn.id })
    for (const [id, { turn: oldest }] of this.turns) {
      if (this.bytes <= this.bounds.bytes && this.turns.size <= this.bounds.turns) break
      this.drop(id, oldest)
    }
  }

  /** @throws HolonError not_found */
  get(owner: string, id: string, param?: string): Turn {
    const kept = this.turns.get(id)
    if (!kept || kept.turn.owner !== owner) {
      throw new HolonError('not_found', `There is no response "${id.slice(0, 100)}" here (any more).`, {
        param,
        hint: 'Responses are kept in memory, the latest ones, until the hub ends: send the items themselves.',
      })
    }
    this.turns.delete(id)
    this.turns.set(id, kept)
    return kept.turn
  }

  /** Everything said up to and with a response, oldest first. @throws HolonError not_found */
  history(owner: string, id: string): unknown[] {
    const turns: Turn[] = []
    for (let next: string | null = id; next !== null && turns.length < maxDepth; ) {
      const turn = this.get(owner, next, 'previous_response_id')
      turns.push(turn)
      next = turn.previous
    }
    return turns.reverse().flatMap((turn) => [...turn.input, ...turn.output])
  }

  item(owner: string, id: string): unknown {
    const kept = this.items.get(id)
    return kept && kept.owner === owner ? kept.item : null
  }

  /** @throws HolonError not_found */
  remove(owner: string, id: string): void {
    this.drop(id, this.get(owner, id))
  }

  private drop(id: string, turn: Turn): void {
    this.bytes -= this.turns.get(id)?.bytes ?? 0
    this.turns.delete(id)
    for (const item of turn.output) this.items.delete(item.id)
  }
}
