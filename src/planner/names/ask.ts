/**
 * What a caller may write where a model's name goes, beside the name itself:
 *
 * - `qwen2.5-7b-instruct@>=q4` or `…@q4+`: at least Q4, in whatever format. `@>=q4_k_m` counts bits per weight too.
 * - `qwen2.5-7b-instruct@q4_k_m`: that quant.
 * - `qwen2.5-7b-instruct@exact:<weights id>`: those weights and no others.
 */
import { HolonError } from '../../core/errors.ts'
import { isOllamaLibraryName } from './ollama-library.ts'
import { type ModelName, parseModelName } from './parse-model-name.ts'
import { type QualityFloor, type QuantName, readFloor, readQuant } from './quant-name.ts'

export interface Ask {
  /** As the caller wrote it, without the condition. */
  name: string
  /** What the name may mean, the likeliest first. */
  meanings: readonly ModelName[]
  floor: QualityFloor | null
  quant: QuantName | null
  weightsId: string | null
}

/** @throws HolonError invalid_parameter for a condition that is none */
export function parseAsk(text: string): Ask {
  const at = text.lastIndexOf('@')
  const name = at > 0 ? text.slice(0, at).trim() : text.trim()
  const meanings = meaningsOf(name)
  const ask: Ask = { name, meanings, floor: null, quant: null, weightsId: null }
  if (at <= 0) return ask
  const condition = text.slice(at + 1).trim()
  const exact = /^exact:([A-Za-z0-9:_-]{4,128})$/.exec(condition)
  if (exact) return { ...ask, weightsId: exact[1]!.toLowerCase() }
  const least = /^(?:>=\s*(.+?)|(.+?)\+)$/.exec(condition)
  const floor = least ? readFloor(least[1] ?? least[2] ?? '') : null
  if (floor !== null) return { ...ask, floor }
  const quant = least ? null : readQuant(condition, /mlx/i.test(condition))
  if (quant !== null) return { ...ask, quant }
  throw new HolonError('invalid_parameter', `"@${condition.slice(0, 60)}" is no condition on a model.`, {
    param: 'model',
    hint: 'Write NAME@>=q4 (or NAME@q4+) for at least Q4, NAME@q4_k_m for that quant, NAME@exact:ID for those weights.',
  })
}

/** "llama3.1" alone is what Ollama's users write for `llama3.1:latest`. */
function meaningsOf(name: string): ModelName[] {
  const plain = parseModelName(name)
  const tagless = isOllamaLibraryName(name.toLowerCase()) ? parseModelName(`${name}:latest`) : null
  return tagless === null ? [plain] : [plain, tagless]
}
