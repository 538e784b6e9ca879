/** Figures for people. GB is 10^9 bytes and GiB is 2^30; the unit is always said, and stays on the figure's line. */
const nbsp = '\u00a0'

export function bytes(value: number): string {
  for (const [unit, size] of [
    ['TB', 1e12],
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    // 999.6 MB is written as 1.00 GB, not as 1000 MB.
    if (value >= size * 0.9995) return `${threeDigits(value / size)}${nbsp}${unit}`
  }
  return `${Math.round(value)}${nbsp}B`
}

function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Memory chips are sold in GiB, models are counted in GB: both are said. */
export function chipMemory(value: number): string {
  return `${Math.round(value / 2 ** 30)}${nbsp}GiB (${bytes(value)})`
}

export function seconds(value: number): string {
  if (value < 0.9995) return `${Math.round(value * 1000)}${nbsp}ms`
  if (value < 59.95) return `${value.toFixed(1)}${nbsp}s`
  const whole = Math.round(value)
  return `${Math.floor(whole / 60)}${nbsp}min ${whole % 60}${nbsp}s`
}

export function speed(tokensPerSecond: number): string {
  return `${tokensPerSecond.toFixed(tokensPerSecond >= 100 ? 0 : 1)}${nbsp}tok/s`
}

export const count = (value: number, one: string, many: string): string =>
  `${value}${nbsp}${value === 1 ? one : many}`

/** The time for today, the day for earlier. */
export function when(timeMs: number, nowMs: number): string {
  const date = new Date(timeMs)
  const sameDay = date.toDateString() === new Date(nowMs).toDateString()
  if (sameDay) return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  return date.toLocaleDateString([], { day: 'numeric', month: 'short' })
}
