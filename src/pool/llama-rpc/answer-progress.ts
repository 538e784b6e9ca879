/**
 * Whether answers under way get on. llama.cpp waits for a worker for ever and says that all is well meanwhile, so what
 * moves is watched from outside: bytes on the wire, and the tokens of each slot.
 */
import type { Serving } from '../../engines/llama-server/serve.ts'

/** A batch of a long prompt on slow machines takes a minute; twice that is no work any more. Milliseconds. */
const usualHangMs = 150_000
/** Silence that is worth asking the engine about, at most. */
const suspectMs = 20_000
const askMs = 5_000

export class AnswerProgress {
  private readonly serving: Pick<Serving, 'origin' | 'headers'>
  private readonly bytes: () => number
  private readonly hangMs: number
  private readonly now: () => number
  private active = 0
  private signature = ''
  private movedAt: number

  /** @param hangMs how long nothing may move while an answer is under way */
  constructor(
    serving: Pick<Serving, 'origin' | 'headers'>,
    bytes: () => number,
    { hangMs = usualHangMs, now = () => performance.now() }: { hangMs?: number; now?: () => number } = {},
  ) {
    this.serving = serving
    this.bytes = bytes
    this.hangMs = hangMs
    this.now = now
    this.movedAt = now()
  }

  begin(): void {
    if (this.active === 0) this.movedAt = this.now()
    this.active += 1
  }

  end(): void {
    this.active -= 1
  }

  /** One sentence when nothing has moved for too long. */
  async look(): Promise<string | null> {
    if (this.active === 0) return null
    const bytes = this.bytes()
    if (!this.signature.startsWith(`${bytes} `)) return this.moved(`${bytes} `)
    const silentMs = this.now() - this.movedAt
    if (silentMs < Math.min(suspectMs, this.hangMs / 2)) return null
    const slots = await this.slots()
    if (slots === 'idle') return this.moved(`${bytes} idle`)
    // An engine that cannot even be asked is judged by the wire alone.
    if (slots !== null && this.signature !== `${bytes} ${slots}`) return this.moved(`${bytes} ${slots}`)
    if (silentMs < this.hangMs) return null
    return `The pool hangs: no answer has got on for ${Math.round(silentMs / 1000)} s.`
  }

  private moved(signature: string): null {
    this.signature = signature
    this.movedAt = this.now()
    return null
  }

  /** What each busy slot has done; `idle` when none is busy, null when the engine does not say. */
  private async slots(): Promise<string | null> {
    const { origin, headers } = this.serving
    try {
      const response = await fetch(`${origin}/slots`, { headers, signal: AbortSignal.timeout(askMs) })
      const slots = (await response.json()) as {
        id?: number
        is_processing?: boolean
        next_token?: unknown
      }[]
      const busy = slots.filter((slot) => slot.is_processing)
      return busy.length === 0 ? 'idle' : JSON.stringify(busy.map(({ id, next_token }) => [id, next_token]))
    } catch {
      return null
    }
  }
}
