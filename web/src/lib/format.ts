/** Figures for people. GB is 10^9 bytes; the unit is always said. */

export function bytes(value: number): string {
  for (const [unit, size] of [
    ['TB', 1e12],
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (value >= size) return `${threeDigits(value / size)} ${unit}`
  }
  return `${Math.round(value)} B`
}

export function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function seconds(value: number): string {
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`
  if (value < 59.95) return `${value.toFixed(1)} s`
  const whole = Math.round(value)
  return `${Math.floor(whole / 60)} min ${whole % 60} s`
}

export function speed(tokensPerSecond: number): string {
  return `${tokensPerSecond >= 100 ? tokensPerSecond.toFixed(0) : tokensPerSecond.toFixed(1)} tok/s`
}

export const count = (value: number, one: string, many: string): string =>
  `${value} ${value === 1 ? one : many}`

/** "today 14:05" or "3 Nov". */
export function when(timeMs: number, nowMs: number): string {
  const date = new Date(timeMs)
  const sameDay = date.toDateString() === new Date(nowMs).toDateString()
  if (sameDay) return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  return date.toLocaleDateString([], { day: 'numeric', month: 'short' })
}
