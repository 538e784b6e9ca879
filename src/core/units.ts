/** Units by name: GB is 10^9 bytes, GiB is 2^30. Mixing them is a real planner bug, so both are spelt out. */
export const GB = 1e9
export const MB = 1e6
export const GiB = 2 ** 30
export const MiB = 2 ** 20

/** Bytes for people, in decimal units ("4.92 GB"). */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['TB', 1e12],
    ['GB', GB],
    ['MB', MB],
    ['kB', 1e3],
  ] as const) {
    // 999.6 MB is written as 1.00 GB, not as 1000 MB.
    if (bytes >= size * 0.9995) {
      const value = bytes / size
      return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`
    }
  }
  return `${Math.round(bytes)} B`
}

/** Seconds for people ("350 ms", "4.2 s", "3 min 20 s"). */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  // Rounded first: 119.7 s is 2 min 0 s, not 1 min 60 s.
  const whole = Math.round(seconds)
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
