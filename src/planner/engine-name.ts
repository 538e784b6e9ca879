/**
 * Which engine ran, in which family, on which backend. Speeds differ more by backend and by the age of the build
 * than by anything else but the memory, so both are read from the name and the date.
 */

export type EngineFamily =
  | 'llama.cpp'
  | 'mlx'
  | 'vllm'
  | 'ds4'
  | 'distributed-llama'
  | 'prima.cpp'
  | 'petals'
  | 'other'
export type Backend = 'metal' | 'cuda' | 'vulkan' | 'rocm' | 'cpu' | 'mlx' | 'sycl'

export interface Engine {
  /** As stated. */
  name: string
  family: EngineFamily
  /** The program around it, when it adds its own cost: ollama, exo, camelid ... */
  wrapper: string | null
  /** Null when the name does not say; the chip decides then. */
  backend: Backend | null
  rpc: boolean
  /** Finer build of a backend that is known to matter: `rocwmma`, `amdvlk`, `radv`, `hip`. */
  flavour: string | null
}

const families: [RegExp, EngineFamily][] = [
  [/distributed-?llama|dllama/, 'distributed-llama'],
  [/prima/, 'prima.cpp'],
  [/petals/, 'petals'],
  [/\bds4\b/, 'ds4'],
  [/vllm-mlx|mlx|exo|omlx/, 'mlx'],
  [/vllm|sglang/, 'vllm'],
  [/llama|ollama|lm ?studio|gguf|koboldcpp|jan\b|mesh/, 'llama.cpp'],
]

export function parseEngine(name: string): Engine {
  const lower = name.toLowerCase()
  const family = families.find(([pattern]) => pattern.test(lower))?.[1] ?? 'other'
  let backend: Backend | null = null
  if (family === 'mlx') backend = 'mlx'
  else if (/vulkan|radv|amdvlk/.test(lower)) backend = 'vulkan'
  else if (/\bhip\b|rocm|rocwmma/.test(lower)) backend = 'rocm'
  else if (/cuda/.test(lower)) backend = 'cuda'
  else if (/metal/.test(lower)) backend = 'metal'
  else if (/sycl/.test(lower)) backend = 'sycl'
  else if (/\bcpu\b/.test(lower)) backend = 'cpu'
  const wrapper = /^ollama|ollama mlx/.test(lower)
    ? 'ollama'
    : (['exo', 'omlx', 'camelid', 'lm studio'].find((name) => lower.includes(name)) ?? null)
  return {
    name,
    family,
    wrapper,
    backend,
    rpc: /\brpc\b/.test(lower),
    flavour: ['rocwmma', 'amdvlk', 'radv', 'hip'].find((flavour) => lower.includes(flavour)) ?? null,
  }
}

/** The backend an engine uses on a chip when its name does not say. */
export function defaultBackend(engine: Engine, vendor: string, kind: 'gpu' | 'cpu'): Backend {
  if (engine.family === 'distributed-llama') return 'cpu'
  if (engine.backend === 'mlx' && vendor !== 'Apple') return kind === 'cpu' ? 'cpu' : 'cuda'
  if (engine.backend !== null) return engine.backend
  if (kind === 'cpu') return 'cpu'
  if (vendor === 'Apple') return 'metal'
  if (vendor === 'NVIDIA') return 'cuda'
  if (vendor === 'AMD') return engine.wrapper === 'ollama' ? 'rocm' : 'vulkan'
  return 'vulkan'
}

/** Years as a decimal from "2024-05", "2023-11-21..2026-09-30", "2026"; null when absent. The first date counts. */
export function yearOf(date: string): number | null {
  const found = /(20\d\d)(?:-(\d\d))?/.exec(date)
  if (!found) return null
  return Number(found[1]) + (found[2] ? (Number(found[2]) - 0.5) / 12 : 0.5)
}
