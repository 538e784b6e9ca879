/** The entries of one type in system_profiler's JSON; none when it is no JSON or has another shape. */
export function profilerEntries<Entry>(text: string | null, type: string): Entry[] {
  try {
    const entries = (JSON.parse(text ?? '') as Record<string, unknown>)[type]
    return Array.isArray(entries)
      ? entries.filter((entry) => typeof entry === 'object' && entry !== null)
      : []
  } catch {
    return []
  }
}
