import type { Priors } from './fit.ts'

/**
 * What is believed before any measurement: the factor of each term, and how far an effect may stray from 1 without
 * much evidence. Bandwidth shares vary little from chip to chip, per-layer costs and unpacking vary a lot; these
 * spreads were chosen once, by the cross-validated error, and are the only tuning knobs of the fit.
 */

type Spread = Readonly<Record<string, number>>

const ln = Math.log
const SCALE = 1.4

const decodeSpread: Record<string, Spread> = {
  weights: {
    vendor: 0.08,
    tier: 0.08,
    family: 0.08,
    chip: 0.06,
    backend: 0.06,
    engine: 0.08,
    wrapper: 0.06,
    flavour: 0.05,
    moe: 0.15,
    hybrid: 0.08,
    host: 0.3,
    quant: 0.08,
    draft: 0.5,
  },
  unpack: { vendor: 0.4, family: 0.3, backend: 0.3, quant: 0.5, era: 0.4, engine: 0.3 },
  layers: {
    vendor: 0.3,
    tier: 0.2,
    family: 0.2,
    chip: 0.1,
    backend: 0.3,
    engine: 0.3,
    wrapper: 0.2,
    flavour: 0.1,
    moe: 0.4,
    hybrid: 0.3,
    host: 0.5,
    era: 0.3,
    draft: 0.5,
  },
  kv: { vendor: 0.2, tier: 0.1, family: 0.2, chip: 0.1, backend: 0.3, engine: 0.3, kv: 0.3, flash: 0.4 },
  attention: { flash: 0.3 },
  // Kept close to the counts: few pools are published, and each has its own cabling.
  hop: { engine: 0.3, wrapper: 0.3, transport: 0.3 },
  allreduce: { engine: 0.3, wrapper: 0.3, transport: 0.3 },
  sync: { engine: 0.4, wrapper: 0.4, transport: 0.4, strategy: 0.4 },
}

export const decodePriors: Priors = {
  base: {
    weights: { mean: ln(1.15), sd: 0.1 },
    unpack: { mean: ln(0.8), sd: 0.5 },
    layers: { mean: 0, sd: 0.7 },
    kv: { mean: ln(1.35), sd: 0.2 },
    attention: { mean: 0, sd: 0.3 },
    batch: { mean: ln(3), sd: 1 },
    token: { mean: ln(0.3), sd: 1 },
    spill: { mean: ln(1.5), sd: 0.5 },
    hop: { mean: ln(1.5), sd: 0.7 },
    allreduce: { mean: ln(1.2), sd: 0.6 },
    sync: { mean: ln(2), sd: 1 },
  },
  sd: (term, key) => (decodeSpread[term]?.[key.replace(/[:/].*/, '')] ?? 0.25) * SCALE,
  // A comparison on one cluster (Llama 405B on four Strix Halo): 0.45 against 0.71 tok/s for llama.cpp.
  mean: (term, key) => {
    if (key === 'engine:distributed-llama' && (term === 'weights' || term === 'unpack'))
      return ln(0.71 / 0.45)
    // Without flash attention the scores are written to memory and read back, and values are read across rows.
    if (term === 'kv' && key === 'flash:off') return ln(2)
    // As matrix products, which a processor does quicker than llama.cpp's fused kernel for it.
    if (term === 'attention' && key === 'flash:off') return ln(0.45)
    return 0
  },
  noise: 0.1,
}

const prefillSpread: Record<string, Spread> = {
  'prefill.compute': {
    vendor: 0.5,
    tier: 0.3,
    family: 0.4,
    chip: 0.15,
    backend: 0.4,
    engine: 0.3,
    wrapper: 0.2,
    flavour: 0.3,
    moe: 0.5,
    hybrid: 0.3,
    host: 0.5,
    quant: 0.08,
    quantOn: 0.2,
    era: 0.3,
    gpus: 0.25,
  },
  'prefill.experts': {
    vendor: 0.5,
    tier: 0.3,
    family: 0.4,
    chip: 0.1,
    backend: 0.4,
    engine: 0.3,
    wrapper: 0.2,
    flavour: 0.3,
    hybrid: 0.3,
    host: 0.5,
    quant: 0.08,
    quantOn: 0.2,
    era: 0.3,
    gpus: 0.25,
  },
  'prefill.tiles': { vendor: 0.4, backend: 0.4, engine: 0.4, family: 0.3 },
  'prefill.attention': { vendor: 0.4, family: 0.3, backend: 0.4, engine: 0.4, flash: 0.5, kv: 0.5 },
  'prefill.weights': { vendor: 0.3, backend: 0.3, family: 0.2, moe: 0.5 },
  'prefill.layers': { vendor: 0.5, backend: 0.5, engine: 0.5, moe: 0.7, hybrid: 0.5, host: 0.7, family: 0.3 },
  'prefill.hop': { engine: 0.7, wrapper: 0.7, transport: 0.7 },
  'prefill.allreduce': { engine: 0.7, wrapper: 0.7, transport: 0.7 },
}

export const prefillPriors: Priors = {
  base: {
    'prefill.compute': { mean: ln(2.2), sd: 0.3 },
    'prefill.experts': { mean: ln(2.6), sd: 0.3 },
    'prefill.tiles': { mean: ln(1.5), sd: 0.42 },
    'prefill.attention': { mean: ln(3), sd: 0.42 },
    'prefill.weights': { mean: ln(1.2), sd: 0.12 },
    'prefill.layers': { mean: ln(2), sd: 0.42 },
    'prefill.hop': { mean: ln(2), sd: 0.6 },
    'prefill.allreduce': { mean: ln(2), sd: 0.6 },
  },
  sd: (term, key) => {
    const spread = prefillSpread[term]
    return (
      (key.includes('/') && key.startsWith('quant')
        ? spread?.quantOn
        : spread?.[key.replace(/[:/].*/, '')]) ?? 0.3
    )
  },
  // Without flash attention the scores are written to memory and read back.
  mean: (term, key) => (term === 'prefill.attention' && key === 'flash:off' ? ln(2) : 0),
  noise: 0.65,
}
