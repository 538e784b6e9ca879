import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { formatSeconds } from '../../core/units.ts'
import {
  type Comparison,
  compare,
  findLink,
  type Option,
  parseMachines,
  readRequest,
} from '../../planner/index.ts'
import { modelFromPlace } from '../plan-model.ts'
import type { Printer } from '../printer.ts'
import { type Shell, wholeNumber } from '../shell.ts'

interface CompareFlags {
  single: string
  pool: string
  quant?: string
  links: string
  context?: number
  price?: string[]
}

export function registerCompare(program: Command, shell: Shell): void {
  program
    .command('compare')
    .description(
      'Compare one machine with a pool: memory, largest model, speed per link, context, cost, failure, effort.',
    )
    .argument('<model>', 'the model that matters most')
    .option('--single <machine>', 'one machine', 'm3-ultra-80c:256gb')
    .option('--pool <machines>', 'equal or unequal machines', '4x m4-max-40c:128gb')
    .option('--links <names>', 'links the pool may have, separated by commas', 'tb5-rdma,eth-10g')
    .option('--quant <name>', 'quant')
    .option('--context <tokens>', 'tokens of context', wholeNumber('--context', 1, 16_777_216))
    .option('--price <name=usd...>', 'price of a machine, such as m4-max-40c:128gb=3699')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer }, model: string, flags: CompareFlags) => {
        const given = (await modelFromPlace(model, flags.quant)) ?? undefined
        const request = readRequest({ model, quant: flags.quant, contextTokens: flags.context }, given)
        const [single] = parseMachines(flags.single)
        const links = flags.links.split(',').map(findLink)
        const made = compare(request, single!, parseMachines(flags.pool), links, prices(flags.price ?? []))
        if (printer.json) printer.document(made)
        else print(printer, made)
        return 0
      }),
    )
}

function prices(texts: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const text of texts) {
    const at = text.lastIndexOf('=')
    const usd = Number(text.slice(at + 1))
    if (at < 1 || !(usd > 0) || usd > 1e9)
      throw new HolonError('usage', `"${text}" is not NAME=USD.`, {
        hint: 'For example --price m4-max-40c:128gb=3699.',
      })
    found[text.slice(0, at)] = usd
  }
  return found
}

const dollars = (value: number | null): string => (value === null ? '–' : `$${Math.round(value)}`)

function print(printer: Printer, made: Comparison): void {
  const title = { pool: 'Pool', single: 'One machine', either: 'Either', neither: 'Neither' }[made.verdict]
  printer.line(`${printer.strong(title)}: ${made.because}. Confidence: ${made.confidence}.`)
  printer.line(printer.faint(`${made.model} ${made.quant}, ${made.contextTokens} tokens of context`))
  printer.line()
  const row = (name: string, cell: (option: Option) => string) => [name, ...made.options.map(cell)]
  const speedOf = (speed: Option['speeds'][number]) =>
    speed.decodeTokS === null
      ? `${speed.link}: does not fit`
      : `${speed.link}: ${speed.decodeTokS} (${speed.low} to ${speed.high}) tok/s, ${speed.strategy}, first token ${formatSeconds(speed.ttftS ?? 0)}`
  const rows = [
    row('memory', (option) => `${option.memoryGb} GiB, ${option.usableGb} GB usable`),
    row('largest dense model', (option) => `${option.largestDenseB} B`),
    row('longest context', (option) => `${option.longestContext}`),
    row('copies of the model', (option) => `${option.copies}`),
    row('cost', (option) => dollars(option.costUsd)),
    row('per GiB / per tok/s', (option) => `${dollars(option.usdPerGb)} / ${dollars(option.usdPerTokS)}`),
    row('when a machine fails', (option) => option.whenAMachineFails),
    row('effort', (option) => option.effort),
    row('maturity', (option) => option.maturity),
  ]
  const most = Math.max(...made.options.map((option) => option.speeds.length))
  for (let i = most - 1; i >= 0; i--) {
    const cells = made.options.map((option) =>
      option.speeds
        .slice(i, i + 1)
        .map(speedOf)
        .join(''),
    )
    rows.splice(1, 0, [i === 0 ? 'speed' : '', ...cells])
  }
  printer.table(['', ...made.options.map((option) => option.name)], rows)
  printer.line()
  for (const { name, met, detail } of made.criteria)
    printer.line(`${met === null ? '?' : met ? 'yes' : 'no '} ${name}: ${detail}`)
  for (const option of made.options) printer.line(printer.faint(`cost of ${option.name}: ${option.costNote}`))
  if (made.unknowns.length > 0) {
    printer.line()
    printer.line(printer.strong('Not known:'))
    for (const unknown of made.unknowns) printer.line(`- ${unknown}`)
  }
}
