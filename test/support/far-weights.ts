import { LocalWeights } from '../../src/agent/pool-weights/local-weights.ts'
import type { WeightList } from '../../src/protocol/pool-weights.ts'

/** A machine's files as if it had a disk of its own: on one machine all members see each other's folders. */
export class FarWeights extends LocalWeights {
  override has(list: WeightList, signal: AbortSignal): Promise<string[]> {
    return super.has({ ...list, path: '/on/another/machine' }, signal)
  }
}
