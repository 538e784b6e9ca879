/** Bounds how often one address may be wrong, so that codes, keys and tokens cannot be tried out. */
import { HolonError } from '../../core/errors.ts'
import { TokenBucket } from '../../tunnel/token-bucket.ts'

const burst = 10
const perSecond = 1 / 15
const maxAddresses = 1_000

export class Patience {
  private readonly buckets = new Map<string, TokenBucket>()

  /** @throws HolonError join_rate_limited */
  spend(address: string): void {
    const now = performance.now()
    let bucket = this.buckets.get(address)
    if (!bucket) {
      // The oldest goes: an attacker with a thousand addresses has other means.
      const oldest = this.buckets.size >= maxAddresses ? this.buckets.keys().next().value : undefined
      if (oldest !== undefined) this.buckets.delete(oldest)
      bucket = new TokenBucket(burst, perSecond)
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
