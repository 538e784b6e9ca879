/** The file names of a split model: `Name-00001-of-00003.gguf`, counted from 1, five digits. */
const pattern = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i

export interface SplitName {
  /** What comes before `-00001-of-…`; may hold a folder. */
  base: string
  /** Counted from 1. */
  part: number
  count: number
}

/** Null when the name is not one of a split model. */
export function parseSplitName(name: string): SplitName | null {
  const match = pattern.exec(name)
  if (!match) return null
  const [, base = '', part, count] = match
  const parsed = { base, part: Number(part), count: Number(count) }
  return parsed.part >= 1 && parsed.part <= parsed.count ? parsed : null
}

/** All the names of the set that `name` belongs to, in order; the name alone when it is no split. */
export function splitSetNames(name: string): string[] {
  const split = parseSplitName(name)
  if (!split) return [name]
  const digits = (value: number): string => String(value).padStart(5, '0')
  return Array.from(
    { length: split.count },
    (_, index) => `${split.base}-${digits(index + 1)}-of-${digits(split.count)}.gguf`,
  )
}
