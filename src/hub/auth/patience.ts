/** Bounds how often one address may be wrong, so that codes, keys and tokens cannot be tried out. */
import { HolonError } from '../../core/errors.ts'
import { TokenBucket } from '../../tunnel/token-bucket.ts'

/** How often one address may be wrong at once, and then how often per second. */
export interface Leniency {
  burst: number
  perSecond: number
}

const forJoining: Leniency = { burst: 10, perSecond: 1 / 15 }
const maxAddresses = 1_000

export class Patience {
  private readonly buckets = new Map<string, TokenBucket>()
  private readonly leniency: Leniency

  constructor(leniency = forJoining) {
    this.leniency = leniency
  }

  /** @throws HolonError join_rate_limited */
  spend(address: string): void {
    const now = performance.now()
    let bucket = this.buckets.get(address)
    if (!bucket) {
      // The oldest goes: an attacker with a thousand addresses has other means.
      const oldest = this.buckets.size >= maxAddresses ? this.buckets.keys().next().value : undefined
      if (oldest !== undefined) this.buckets.delete(oldest)
      bucket = new TokenBucket(this.leniency.burst, this.leniency.perSecond)
      this.buckets.set(address, bucket)
    }
    if (bucket.take(now)) return
    throw new HolonError('join_rate_limited', 'Too many attempts came from this address.', {
      retryAfterS: Math.max(1, bucket.waitS(now)),
    })
  }

  /** The attempt was right: it costs nothing. */
  giveBack(address: string): void {
    this.buckets.delete(address)
  }
}
