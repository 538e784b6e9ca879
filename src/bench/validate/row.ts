import {
  defaultBackend,
  parseEngine,
  parseHardware,
  parseLink,
  parseQuant,
  resolveModel,
  type Setup,
  weightBytes,
  yearOf,
} from '../../planner/index.ts'
import type { CsvRecord } from './csv.ts'

/**
 * A published measurement, split in two: what was run (the setup, all a prediction may see) and what was measured.
 * Of the free-text notes only named test settings are read (flash attention, micro-batch, speculation, what the
 * memory figure covers) and the OUTLIER / CHECK flags; never a number that was measured.
 */

export interface Measured {
  decodeTokS: number | null
  prefillTokS: number | null
  memoryBytes: number | null
}

export interface Row {
  id: string
  source: string
  engine: string
  nodes: number
  measured: Measured
  /** What the memory figure covers: the device, or the whole process with its host buffers. */
  memoryKind: 'device' | 'process' | 'weights' | 'kv'
  /** False when a memory figure cannot be compared because nobody said for which context it was. */
  contextStated: boolean
  setup: Setup
}

export type RowOutcome = { row: Row } | { id: string; reason: string }

const number = (text: string | undefined): number | null => {
  if (text === undefined || text.trim() === '') return null
  const value = Number(text)
  return Number.isFinite(value) && value > 0 ? value : null
}

/** "RTX 2080Ti 11GB": memory of a card named with it. */
const cardMemory = (chip: string | undefined): number | null =>
  number(/\b(?:rtx|gtx|rx|arc|tesla|radeon)\b.*?\b(\d+) ?GB\b/i.exec(chip ?? '')?.[1])

const BENCH_TAIL = [32, 128]

/** Mean tokens in the cache while decoding, and where the timed prompt starts, from how each tool reports. */
function depths(
  engine: string,
  context: number | null,
  prompt: number | null,
): { depth: number; promptStart: number } {
  if (context === null) return { depth: prompt === null ? 200 : prompt + 100, promptStart: 0 }
  if (engine === 'llama.cpp') {
    // llama-bench: tgN starts empty, so that the mean depth is half; `@ dD` with tg32 ends at D + 32.
    if (context === prompt || context <= 512) return { depth: context / 2, promptStart: 0 }
    const start = BENCH_TAIL.map((tail) => context - tail).find((depth) => depth > 0 && depth % 512 === 0)
    if (start !== undefined && prompt !== null && start !== prompt && prompt % 512 === 0)
      return { depth: start + 16, promptStart: start }
  }
  if (engine === 'ds4' && prompt !== null)
    return { depth: context, promptStart: Math.max(0, context - prompt) }
  return { depth: context, promptStart: 0 }
}

function memoryKind(record: CsvRecord, engine: string): Row['memoryKind'] {
  const notes = record.notes ?? ''
  if (/^KV only/i.test(notes)) return 'kv'
  // Ollama's newer runners grow the cache as needed and print the weights; the model's generation tells the runner's.
  if (/^ollama/i.test(engine) && /qwen3\.[5-9]|gemma-?4|mlx|nvfp4/i.test(`${record.model}`)) return 'weights'
  if (/\bRSS\b|resident/i.test(notes)) return 'process'
  return 'device'
}

export function readRow(record: CsvRecord): RowOutcome {
  const id = record.id ?? ''
  const skip = (reason: string): RowOutcome => ({ id, reason })
  const notes = record.notes ?? ''
  if (/\b(OUTLIER|CHECK)\b/.test(notes)) return skip('flagged OUTLIER or CHECK in its notes')
  const measured: Measured = {
    decodeTokS: number(record.decode_tok_s),
    prefillTokS: number(record.prefill_tok_s),
    memoryBytes: (number(record.memory_used_gb) ?? 0) * 1e9 || null,
  }
  const engine = parseEngine(record.engine ?? '')
  const totalB = number(record.params_total_b)
  const resolved = resolveModel(record.model ?? '', totalB, number(record.params_active_b))
  if (!resolved) return skip(`the model "${record.model}" tells neither family nor size`)
  const stated = /^default|^MLX default/i.test(record.quant ?? '') ? '' : record.quant
  const quantText = stated || quantInName(record.model ?? '', engine.family === 'mlx')
  const mlx = engine.family === 'mlx' || /mlx/i.test(`${record.model} ${record.quant}`)
  const fileGb = number(record.file_size_gb)
  const quant =
    parseQuant(quantText, mlx) ??
    (resolved.spec.nativeExpertBpw !== null ? parseQuant('MXFP4') : null) ??
    (quantText === '' && (mlx || /ollama/i.test(record.engine ?? ''))
      ? parseQuant(mlx ? '4bit' : 'Q4_K_M', mlx)
      : null)
  if (!quant)
    return skip(
      quantText === '' && fileGb === null
        ? 'gives neither size nor quant'
        : `the quant "${quantText}" is not known`,
    )
  const nodes = number(record.nodes) ?? 1
  const chipTexts = (record.chip ?? '').split(/ \+ /)
  const memoryText = (record.memory_gb_per_node ?? '').split('/')
  const known = chipTexts.map((text, i) =>
    parseHardware(text, number(record.gpu_cores), number(memoryText[i] ?? memoryText[0])),
  )
  const onlyMemory = measured.decodeTokS === null && measured.prefillTokS === null
  const missing = chipTexts.find((text, i) => known[i] === null || / or |-class/.test(text))
  if (missing !== undefined && !onlyMemory) return skip(`the chip "${missing}" is not known`)
  const hardware = known.filter((entry) => entry !== null)
  const fallback = parseHardware('m4-max-40c')!
  if (engine.family === 'distributed-llama')
    hardware.forEach((entry, i) => {
      // It runs on processors only; what stands beside a graphics card is an ordinary desktop.
      if (entry.chip.tier === 'discrete') hardware[i] = parseHardware('ddr4-2666-dual')!
    })
  const first = hardware[0] ?? fallback
  const members = Array.from({ length: Math.max(nodes, 1) }, (_, i) => {
    const gb = number(memoryText[i] ?? memoryText[0]) ?? cardMemory(chipTexts[i] ?? chipTexts[0])
    return { hardware: hardware[i] ?? first, memoryBytes: gb === null ? null : gb * 1e9 }
  })
  const link = nodes > 1 ? parseLink(record.link || 'ethernet') : null
  const backendEngine =
    mlx && engine.family === 'llama.cpp'
      ? { ...engine, family: 'mlx' as const, backend: 'mlx' as const }
      : engine
  const context = number(record.context_tokens)
  const prompt = number(record.prompt_tokens)
  const { depth, promptStart } = depths(backendEngine.family, context, prompt)
  const fa = /\bfa ?= ?([01])\b/i.exec(notes)
  const flash = fa ? fa[1] === '1' : /no flash[- ]attn|-fa off/i.test(notes) ? false : null
  const year = Math.max(yearOf(record.date ?? '') ?? 0, chipYear(first.chip.family)) || null
  const ubStated = /\bub ?=? ?(\d{3,5})\b/.exec(notes)
  const chip = first.chip
  const setup: Setup = {
    model: resolved.spec,
    quant,
    weights: weightBytes(resolved.spec, quant, fileGb === null ? null : fileGb * 1e9),
    engine: backendEngine,
    backend: defaultBackend(backendEngine, chip.vendor, chip.kind),
    members: nodes > 1 ? members : [members[0]!],
    strategy: nodes > 1 ? (/tensor/i.test(record.parallelism ?? '') ? 'tensor' : 'pipeline') : 'solo',
    link,
    batch: number(record.batch) ?? 1,
    depth,
    contextTokens: context ?? 4096,
    promptTokens: prompt ?? 512,
    promptStart,
    flash,
    year,
    kvBits: /KV q8_0/i.test(record.quant ?? '') ? 8.5 : /KV q4_0/i.test(record.quant ?? '') ? 4.5 : 16,
    ubatch: ubStated ? Number(ubStated[1]) : microBatch(backendEngine.family, prompt, notes),
    draft: draftOf(record, backendEngine.family === 'mlx'),
  }
  const row: Row = {
    id,
    source: record.source_title || 'not stated',
    engine: record.engine || 'not stated',
    nodes,
    measured,
    memoryKind: memoryKind(record, record.engine ?? ''),
    contextStated: context !== null,
    setup,
  }
  return { row }
}

/** llama.cpp's default is 512; its own published pp2048 and batched runs raise it to 2048, as do long-depth sweeps. */
function microBatch(engine: string, prompt: number | null, notes: string): number {
  if (engine !== 'llama.cpp') return 2048
  return prompt === 2048 || /batched-bench/.test(notes) ? 2048 : 512
}

/** Speculation: stated, or shipped with the model (Ollama's MLX builds of Gemma 4 carry an assistant). */
function draftOf(record: CsvRecord, mlx: boolean): Setup['draft'] {
  if (/\bmtp\b|speculative/i.test(`${record.model} ${record.engine} ${record.notes}`)) return 'mtp'
  return mlx && /ollama/i.test(record.engine ?? '') && /gemma-?4/i.test(record.model ?? '')
    ? 'assistant'
    : null
}

/** Fine print of file names: "…-Q4_K_M.gguf", "…-4bit", ":nvfp4". */
function quantInName(model: string, mlx: boolean): string {
  const found =
    /(UD-)?(IQ\d_[A-Z]+|Q\d_K_(?:XL|[SML])|Q\d_[01]|MXFP4|NVFP4|MXFP8|AWQ|BF16|F16|FP8)|(\d)bit/i.exec(model)
  if (found) return found[0]
  return mlx ? '4bit' : ''
}

/** A chip cannot have run a build older than itself: newer chips of a long-lived thread used newer builds. */
function chipYear(family: string): number {
  const years: Record<string, number> = {
    'apple-m3': 2023.9,
    'apple-m4': 2024.9,
    'apple-m5': 2025.9,
    'nvidia-blackwell': 2025.2,
    'nvidia-gb10': 2025.8,
    'amd-rdna4': 2025.2,
    'amd-rdna3.5': 2025.2,
  }
  return years[family] ?? 0
}
