import { type ChipFact, chipById, chips, plainName } from '../facts/index.ts'

/**
 * Reads hardware as people write it: "Apple M2 Max", "NVIDIA 3090 24GB x4 (one host)", "Pi CM5 - 16GB (Nvidia RTX
 * 4090) [GPU]", "AMD Ryzen AI Max+ 395 (Strix Halo)". A name with the GPU of one machine behind a slow host keeps both.
 */

export interface Hardware {
  chip: ChipFact
  /** Equal chips in one host. */
  count: number
  /** A small host (Raspberry Pi and the like) that feeds the GPU slowly. */
  smallHost: boolean
  /** What was chosen because the name did not say (the bin of a chip). */
  assumed: string[]
}

const compact = (name: string) =>
  plainName(name).replace(/nvidia|geforce|tesla|amd|radeon|apple|intel|raspberry|quadro/g, '')

/** Distinctive short forms, longest first so that "4070tisuper" wins over "4070". */
const shortForms: [string, ChipFact][] = chips
  .filter((chip) => chip.vendor !== 'Apple')
  .flatMap((chip) => {
    const full = compact(chip.name.replace(/\(.*\)/, ''))
    const forms = new Set([full, full.replace(/^(rtx|gtx|rx|arc|instinct|pro)/, ''), compact(chip.id)])
    return [...forms].filter((form) => form.length >= 2).map((form): [string, ChipFact] => [form, chip])
  })
  .sort((a, b) => b[0].length - a[0].length)

const special: [RegExp, string][] = [
  [/ryzen ai max|strix halo|8060s|framework (desktop|mainboard)|\b395\b/i, 'strix-halo-395'],
  [/gb10|dgx spark|\bspark\b/i, 'dgx-spark-gb10'],
  [/h100.*(pcie)/i, 'h100-pcie'],
  [/h100/i, 'h100-sxm'],
  [/a100.*pcie.*80|a100 pcie/i, 'a100-80g-pcie'],
  [/a100.*40 ?g/i, 'a100-40g'],
  [/a100/i, 'a100-80g-sxm'],
  [/pro 6000.*max-?q/i, 'rtx-pro-6000-max-q'],
  [/pro 6000/i, 'rtx-pro-6000'],
  [/rtx 6000 ada/i, 'rtx-6000-ada'],
  [/rtx 5000 ada/i, 'rtx-5000-ada'],
  [/rtx 4500 ada/i, 'rtx-4500-ada'],
  [/rtx 4000 ada/i, 'rtx-4000-ada'],
  [/rtx 2000 ada/i, 'rtx-2000-ada'],
  [/rtx a6000|\ba6000/i, 'a6000'],
  [/radeon ai pro r?9700|ai pro r9700|r9700/i, 'ai-pro-r9700'],
  [/\bw7700/i, 'pro-w7700'],
  [/\bw7900/i, 'pro-w7900'],
  [/890m/i, 'radeon-890m'],
  [/780m/i, 'radeon-780m'],
  [/3060(?! ?ti)/i, 'rtx-3060-12g'],
]

const cpus: [RegExp, string][] = [
  [/ampereone/i, 'ampereone-a192'],
  [/cm5/i, 'rpi-cm5'],
  [/pi ?500/i, 'rpi-500'],
  [/pi ?400/i, 'rpi-400'],
  [/pi ?5/i, 'rpi-5'],
  [/pi ?4/i, 'rpi-4'],
  [/ms-r1|orion o6|cix/i, 'cix-p1'],
  [/n150|n100|n97/i, 'intel-n150'],
  [/q8400|core ?2/i, 'core2-q8400'],
  [/dc-roma|8-core risc/i, 'sifive-p550-8'],
  [/p550|risc-?v/i, 'sifive-p550-4'],
  [/ryzen ai 5 340/i, 'ryzen-ai-5-340'],
  [/ryzen ai max|framework (desktop|mainboard)|395/i, 'strix-halo-cpu'],
  [/c3d/i, 'gcp-c3d-30'],
  [/rk3588|orange pi/i, 'rk3588'],
  [/snapdragon/i, 'snapdragon-x-elite'],
  [/kirin/i, 'kirin-9000'],
]

const smallHosts = /\b(pi|cm5|orion|p550|ms-r1|risc)\b|pi \d/i

function countOf(text: string): number {
  const found = /\bx ?(\d{1,2})\b/i.exec(text) ?? /\b(\d{1,2}) ?x /i.exec(text)
  return found ? Math.max(1, Number(found[1])) : 1
}

/** Which bin of an Apple chip: by stated cores, else by memory size, else the largest. */
function appleChip(text: string, cores: number | null, memoryGb: number | null): Hardware | null {
  const found = /\bM([1-9])\b[ -]?(pro|max|ultra)?/i.exec(text)
  if (!found) return null
  // An id that goes on with an unknown word is a misspelling, not the base chip.
  if (found[2] === undefined && /^\S*\bM[1-9]-(?!\d)\S/i.test(text)) return null
  const tier = (found[2] ?? 'base').toLowerCase()
  const candidates = chips.filter((chip) => chip.family === `apple-m${found[1]}` && chip.tier === tier)
  const last = candidates.at(-1)
  if (!last) return null
  const stated =
    cores ?? Number(/(\d+)[ -](?:gpu )?core/i.exec(text.replace(/\d+ core - /i, ''))?.[1] ?? Number.NaN)
  const byCores = candidates.find((chip) => chip.gpu_cores === stated)
  if (byCores) return { chip: byCores, count: 1, smallHost: false, assumed: [] }
  const fits =
    memoryGb === null ? [] : candidates.filter((chip) => chip.memory_options_gb?.includes(memoryGb))
  // The largest bin is the commonest in published figures, except where the memory size was sold with the small one only.
  const chip =
    fits.length === 1
      ? fits[0]!
      : memoryGb === 96 && tier === 'ultra'
        ? candidates[0]!
        : (fits.at(-1) ?? last)
  const assumed =
    candidates.length > 1 ? [`the ${chip.gpu_cores}-core version of the ${found[0].trim()}`] : []
  return { chip, count: 1, smallHost: false, assumed }
}

/**
 * The chip a text names, or null. `[CPU]` in the text means that the processor did the work, not the GPU.
 * @param cores GPU cores when stated apart; @param memoryGb memory of the machine when stated apart
 */
export function parseHardware(
  text: string,
  cores: number | null = null,
  memoryGb: number | null = null,
): Hardware | null {
  const exact = chipById(text)
  if (exact) return { chip: exact, count: 1, smallHost: false, assumed: [] }
  const onCpu = /\[CPU\]/i.test(text)
  const count = countOf(text.replace(/\(one host\)/i, ''))
  const cpu = () => {
    const id = cpus.find(([pattern]) => pattern.test(text))?.[1]
    const chip = id ? chipById(id) : undefined
    return chip ? { chip, count: 1, smallHost: false, assumed: [] } : null
  }
  if (onCpu) return cpu()
  const smallHost = smallHosts.test(text.replace(/\((?:nvidia|amd|intel).*?\)/gi, ''))
  const inside = /\(((?:nvidia|amd|intel|radeon|geforce)[^)]*)\)/i.exec(text)?.[1] ?? text
  if (!/nvidia|radeon|amd|intel/i.test(text)) {
    const apple = appleChip(text, cores, memoryGb)
    if (apple) return apple
  }
  const named = special.find(([pattern]) => pattern.test(inside))?.[1]
  const chip = named ? chipById(named) : matchShortForm(inside)
  if (chip) return { chip, count: countFromMemory(chip, count, memoryGb), smallHost, assumed: [] }
  return cpu() ?? appleChip(text, cores, memoryGb)
}

function matchShortForm(text: string): ChipFact | undefined {
  const plain = compact(text.replace(/\d+ ?gb/gi, ''))
  return shortForms.find(([form]) => {
    const at = form.length >= 3 ? plain.indexOf(form) : -1
    // "4090" is not in "40900" nor in "14090".
    return (
      at >= 0 &&
      !/\d/.test(plain[at + form.length] ?? '') &&
      !(/^\d/.test(form) && /\d/.test(plain[at - 1] ?? ''))
    )
  })?.[1]
}

/** "RTX 3090, 48 GB" is two of them. */
function countFromMemory(chip: ChipFact, count: number, memoryGb: number | null): number {
  if (count > 1 || memoryGb === null || chip.tier !== 'discrete') return count
  const largest = Math.max(...(chip.memory_options_gb ?? [memoryGb]))
  const ratio = memoryGb / largest
  return ratio >= 1.9 && Math.abs(ratio - Math.round(ratio)) < 0.1 ? Math.round(ratio) : 1
}
