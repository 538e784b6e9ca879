/** What a cable of the lab does to frames: how many bits a second it takes, and how long it is. */

export interface Cable {
  name: string
  /** Arguments of the token bucket (`tc ... tbf`) at both of its ends; null for as fast as the machine goes. */
  tbf: readonly string[] | null
  /** Ports of the relay that holds frames, from the machine and towards it; null for none. */
  relay: { out: number; back: number } | null
}

export const unshaped: Cable = { name: 'unshaped', tbf: null, relay: null }

/** Frames wait in the queue for this long at most. */
const queueMs = 50
/** A token bucket lets so much through at once. A real port lets through nothing: the least that still holds a frame and reaches the rate. */
const burstOf = (mbit: number): number => Math.max(9_100, Math.ceil((mbit * 1e6 * 0.000_13) / 8))

/** @param mbit millions of bits per second, each way */
export function limitedTo(mbit: number): Cable {
  const tbf = ['rate', `${mbit}mbit`, 'burst', `${burstOf(mbit)}b`, 'latency', `${queueMs}ms`]
  return { name: mbit >= 1000 ? `${mbit / 1000} Gbit/s` : `${mbit} Mbit/s`, tbf, relay: null }
}
