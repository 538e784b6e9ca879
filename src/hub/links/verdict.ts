/** What is wrong with a link, in words. Pure. Wrong routes are silent: everything works, ten times slower. */
import { MB } from '../../core/units.ts'
import type { LinkProbe } from '../../protocol/pool.ts'
import type { Way } from './ways.ts'

/** Two directions of one cable differ by less than this. */
const asymmetry = 3
/** A link that gives less of its line rate than this is not what its label says. */
const leastShare = 0.3

const speed = (bytesS: number): string => `${(bytesS / MB).toFixed(bytesS < 10 * MB ? 1 : 0)} MB/s`

/** @param back what was measured the other way, null when nothing was */
export function linkWarnings(
  names: { from: string; to: string },
  way: Way,
  probe: LinkProbe,
  back: LinkProbe | null,
): string[] {
  const { from, to } = names
  const warnings: string[] = []
  if (probe.via.name !== way.from.name) {
    const word =
      way.kind === 'Thunderbolt' && probe.via.kind === 'wifi' ? 'falls back to Wi-Fi' : 'takes another way'
    warnings.push(
      `Traffic from ${from} to ${to} (${way.to.address}) ${word}: it leaves by ${probe.via.name} (${probe.via.kind}), not by ${way.from.name} (${way.from.kind}). Give both ends of ${way.from.name} addresses on a network of their own.`,
    )
  }
  if (back !== null && back.via.name !== way.to.name && probe.via.name === way.from.name)
    warnings.push(
      `The route is not the same both ways: from ${to} back to ${from} it leaves by ${back.via.name}, not by ${way.to.name}.`,
    )
  if (back !== null) {
    const [slow, fast] = [probe.throughputBytesS, back.throughputBytesS].sort((a, b) => a - b) as [
      number,
      number,
    ]
    if (slow * asymmetry < fast)
      warnings.push(
        `It is ${(fast / Math.max(1, slow)).toFixed(0)} times as fast one way as the other: ${speed(probe.throughputBytesS)} from ${from} to ${to}, ${speed(back.throughputBytesS)} back. Look at the cable and at both ends' settings.`,
      )
  }
  const line = Math.min(
    way.from.lineBitS ?? Number.POSITIVE_INFINITY,
    way.to.lineBitS ?? Number.POSITIVE_INFINITY,
  )
  if (way.kind === 'Ethernet' && Number.isFinite(line) && probe.throughputBytesS * 8 < line * leastShare)
    warnings.push(
      `It gives ${speed(probe.throughputBytesS)}, less than a third of the ${line / 1e9} Gbit/s of its line: a bad cable, a busy switch or a slower port between.`,
    )
  if (way.kind === 'Wi-Fi')
    warnings.push(
      `Wi-Fi: its latency jumps (${probe.rttMs.toFixed(1)} ms, ${probe.jitterMs.toFixed(1)} ms jitter); a cable would be faster and steadier.`,
    )
  return warnings
}
