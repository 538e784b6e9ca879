import { type Constants, constants as shipped } from './constants.ts'
import { kvBytesStored } from './kv-cache.ts'
import type { LinkSpec } from './link-name.ts'
import type { Machine } from './machines.ts'
import { soloPlacement } from './placements.ts'
import type { PlanRequest } from './request.ts'

/**
 * Disaggregated prefill: one machine reads the prompt, hands the KV cache over the link, the other answers. It pays
 * where one has the arithmetic and the other the bandwidth. Each layer's cache is sent while the next is computed, so
 * the transfer hides behind the prefill unless the link is slower than the arithmetic.
 */

export interface Disaggregated {
  prefillOn: string
  decodeOn: string
  link: string
  prefillS: number
  /** Seconds the KV cache of the prompt takes on the link. */
  transferS: number
  /** The transfer is done (but for the last layer) when the prefill is. */
  hidden: boolean
  ttftS: number
  decodeTokS: number
  /** Time to the first token where one machine does both. */
  decoderAloneTtftS: number
  because: string
}

/** Null when the model does not fit both machines, which each hold all of it. */
export function disaggregated(
  request: PlanRequest,
  prefiller: Machine,
  decoder: Machine,
  link: LinkSpec,
  constants: Constants = shipped,
): Disaggregated | null {
  const first = soloPlacement(request, prefiller, constants)
  const second = soloPlacement(request, decoder, constants)
  if (!first.fits || !second.fits) return null
  const { model, promptTokens, parallel, kvBits } = request
  const prefillS = (promptTokens * parallel) / first.prefillTokS.expected
  const cache = kvBytesStored(model, promptTokens, kvBits) * parallel
  const transferS = link.latencyS + cache / link.bytesPerS
  // The last layer's cache leaves after it is computed; on a slow link everything waits for the first layer instead.
  const handedOver = Math.max(prefillS + transferS / model.layers, transferS + prefillS / model.layers)
  const ttftS = handedOver + parallel / second.decodeTokS.expected
  const hidden = transferS <= prefillS
  return {
    prefillOn: prefiller.id,
    decodeOn: decoder.id,
    link: link.name,
    prefillS,
    transferS,
    hidden,
    ttftS,
    decodeTokS: second.decodeTokS.expected,
    decoderAloneTtftS: second.ttftS.expected,
    because: `${(cache / 1e9).toFixed(2)} GB of KV cache take ${transferS.toFixed(2)} s on ${link.name}, ${hidden ? 'hidden behind' : 'longer than'} a prefill of ${prefillS.toFixed(2)} s`,
  }
}

/** The pair of machine kinds with the shortest time to the first token, when it beats the decoder alone; else null. */
export function bestDisaggregated(
  request: PlanRequest,
  kinds: readonly Machine[],
  link: LinkSpec,
  constants: Constants = shipped,
): Disaggregated | null {
  let best: Disaggregated | null = null
  for (const prefiller of kinds.slice(0, 8))
    for (const decoder of kinds.slice(0, 8)) {
      if (prefiller === decoder) continue
      const made = disaggregated(request, prefiller, decoder, link, constants)
      if (made && made.ttftS < made.decoderAloneTtftS && (!best || made.ttftS < best.ttftS)) best = made
    }
  return best
}
