import { formatSeconds } from '../../core/units.ts'
import { type Check, checkCalled } from './check.ts'

export interface ClockFacts {
  nowMs: number
  /** The hub's clock as its answer gave it, and how long that answer took; null without a hub. */
  hub: { nowMs: number; roundTripMs: number } | null
  /** When the newest of Holon's own files was written; null when there is none. */
  newestFileMs: number | null
}

/** No Holon was ever built before this. */
const FIRST_RELEASE_MS = Date.UTC(2026, 10, 1)
const HOUR_MS = 3_600_000
/** Beyond this, logs of two machines cannot be read together; beyond the other, credentials are refused. */
const NOTICEABLE_MS = 30_000
const HARMFUL_MS = 300_000

const hint =
  'Let the system set the time: System Settings > General > Date & Time on a Mac, `timedatectl set-ntp true` on Linux, Settings > Time & language on Windows.'

export function checkClock({ nowMs, hub, newestFileMs }: ClockFacts): Check {
  const { ok, warn, fail } = checkCalled('clock', 'Clock')
  const now = new Date(nowMs).toISOString()
  if (nowMs < FIRST_RELEASE_MS) {
    return fail(`it says ${now}, before this Holon was made; TLS and credentials will fail`, hint)
  }
  if (hub) {
    // The header has whole seconds, and the answer was on its way for half the round trip.
    const doubt = 1000 + hub.roundTripMs
    const skew = Math.max(0, Math.abs(nowMs - hub.nowMs) - doubt)
    const seen = `${formatSeconds(Math.abs(nowMs - hub.nowMs) / 1000)} ${nowMs < hub.nowMs ? 'behind' : 'ahead of'} the hub`
    if (skew > HARMFUL_MS) return fail(`it is ${seen}; credentials will be refused`, hint)
    if (skew > NOTICEABLE_MS) return warn(`it is ${seen}`, hint)
  }
  if (newestFileMs !== null && newestFileMs > nowMs + HOUR_MS) {
    const ahead = formatSeconds((newestFileMs - nowMs) / 1000)
    return warn(
      `files in HOLON_HOME are from ${ahead} in the future: the clock was set back, or is wrong`,
      hint,
    )
  }
  return ok(hub ? `agrees with the hub, ${now}` : now)
}
