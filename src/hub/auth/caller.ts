/** Who sends a request and what they may do: the owner of the hub, or a key. In memory: nobody waits for the books. */
import type { IncomingMessage } from 'node:http'
import { HolonError } from '../../core/errors.ts'
import type { Seat } from '../../core/roster.ts'
import { type Lane, lanes } from '../../protocol/lane.ts'
import type { ModelScope } from './model-scope.ts'

/** An answer under way, as its caller's key sees it. */
export interface Guest {
  readonly lane: Lane
  /** Ends it now, with this as its last word. */
  cut(error: HolonError): void
}

export interface Caller {
  /** Whose requests these are in a queue; keys do not share one. */
  readonly id: string
  /** For the books of usage; null for the owner. */
  readonly keyId: string | null
  /** For people: in the audit and the queue. */
  readonly name: string
  /** Whether the management API is open. */
  readonly admin: boolean
  /** Null: every model that is offered. */
  readonly models: ModelScope | null
  readonly lanes: readonly Lane[]
  /**
   * An answer begins. `end` it with what this returns.
   * @throws HolonError key_not_allowed, rate_limit_exceeded, insufficient_quota, invalid_api_key (revoked meanwhile)
   */
  begin(guest: Guest): Seat<Guest> | null
  end(seat: Seat<Guest>): void
  /** Something is open that is no answer, such as the feed of events: calls back when the key is good no more. */
  attend(onRefused: () => void): Seat<() => void> | null
  leave(seat: Seat<() => void>): void
  /** Adds what is left of the limits to a response's headers. */
  tellLimits(headers: Record<string, string | number>): void
}

/** Whoever may do all: on this machine while there are no keys, and whoever has HOLON_API_KEY. */
class Owner implements Caller {
  readonly id = 'owner'
  readonly keyId = null
  readonly name = 'the owner'
  readonly admin = true
  readonly models = null
  readonly lanes = lanes

  begin(): null {
    return null
  }

  end(): void {}

  attend(): null {
    return null
  }

  leave(): void {}

  tellLimits(): void {}
}

export const owner: Caller = new Owner()

/** @throws HolonError key_not_allowed */
export function requireAdmin(caller: Caller, what: string): void {
  if (caller.admin) return
  throw new HolonError(
    'key_not_allowed',
    `The key "${caller.name}" may not ${what}: that takes an admin key.`,
  )
}

/** Management requests go through Hono, which hands on node's request and nothing more. */
const callers = new WeakMap<IncomingMessage, Caller>()

export function rememberCaller(req: IncomingMessage, caller: Caller): void {
  callers.set(req, caller)
}

/** @throws HolonError invalid_api_key for a request that the doors asked for no key: it is nobody's, and so may do nothing */
export function callerOf(req: IncomingMessage): Caller {
  const caller = callers.get(req)
  if (caller !== undefined) return caller
  throw new HolonError('invalid_api_key', 'An API key is needed.', {
    headers: { 'www-authenticate': 'Bearer realm="holon"' },
  })
}
