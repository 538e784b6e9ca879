import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { type ErrorSummary, type ValidationReport, validate } from '../../bench/validate/index.ts'
import { HolonError } from '../../core/errors.ts'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import {
  constants,
  decodeTerms,
  explainTerms,
  type Placement,
  type PlacementDetails,
  type Plan,
  parseDraft,
  placementDetails,
  placementForJson,
  plan,
  prefillTerms,
  readRequest,
  smallestFor,
  splitPrefill,
} from '../../planner/index.ts'
import { planMachines } from '../plan-machines.ts'
import { modelFromPlace } from '../plan-model.ts'
import type { Printer } from '../printer.ts'
import { type Shell, wholeNumber } from '../shell.ts'
import { registerPlanScenarios } from './plan-scenarios.ts'

interface PlanFlags {
  quant?: string
  on?: string
  link?: string
  context?: number
  prompt?: number
  parallel?: number
  engine?: string
  kv?: string
  explain?: boolean
  smallest?: number
  draft?: string
}

export function registerPlan(program: Command, shell: Shell): void {
  const command = program
    .command('plan')
    .description(
      'Say whether a model fits, how fast it will be, and why, before anything is loaded or bought.',
    )
    .argument('<model>', 'a catalogue id, a GGUF or safetensors path or URL, dense:70b or moe:235b-a22b')
    .option('--quant <name>', 'quant, such as Q4_K_M, Q8_0, 4bit or MXFP4')
    .option('--on <machines>', 'this, node names, or hardware such as "4x m3-ultra-80c:512gb"')
    .option('--link <name>', 'link between the machines, such as tb5-rdma, eth-10g or wifi6')
    .option('--context <tokens>', 'tokens of context to hold', wholeNumber('--context', 1, 16_777_216))
    .option('--prompt <tokens>', 'tokens of prompt before the answer', wholeNumber('--prompt', 1, 16_777_216))
    .option('--parallel <n>', 'answers at once', wholeNumber('--parallel', 1, 4096))
    .option('--engine <name>', 'llama.cpp, mlx, vllm, exo or ollama')
    .option('--kv <type>', 'type of the KV cache: f16, q8_0 or q4_0')
    .option(
      '--smallest <tok/s>',
      'list the smallest machines or pools that reach this speed',
      wholeNumber('--smallest', 1, 100_000),
    )
    .option(
      '--draft <k:a:c>',
      'speculative decoding: tokens drafted, acceptance 0 to 1, cost of one as a share of a step',
    )
    .option('--explain', 'unfold every figure to what was counted and which factor was fitted')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, model: string, flags: PlanFlags) => {
        const given = (await modelFromPlace(model, flags.quant)) ?? undefined
        const request = readRequest(
          {
            model,
            quant: flags.quant,
            contextTokens: flags.context,
            promptTokens: flags.prompt,
            parallel: flags.parallel,
            kv: flags.kv,
            link: flags.link,
            engine: flags.engine,
          },
          given,
        )
        if (flags.smallest !== undefined) {
          printOffers(cli.printer, smallestFor(request, flags.smallest), flags.smallest)
          return 0
        }
        const draft = flags.draft === undefined ? null : parseDraft(flags.draft)
        const machines = await planMachines(cli, flags.on, model)
        const made = plan(request, machines)
        const more: Details = {
          of: (placement) => placementDetails(placement, draft),
          splitPrefill: splitPrefill(request, machines),
        }
        if (cli.printer.json) cli.printer.document(forJson(made, more, flags.explain === true))
        else printPlan(cli.printer, made, more, flags.explain === true)
        return made.recommended === null && !cli.printer.json ? 1 : 0
      }),
    )
  registerPlanScenarios(command, shell)
  command
    .command('validate')
    .description(
      'Score the planner against published measurements (CSV), each predicted from its setup alone.',
    )
    .argument('<file.csv>', 'measurements, columns as in calibration/calibration.csv')
    .option('--rows', 'add the prediction of every row')
    .option('--cross-validate <what>', 'refit without each source or chip and score what was left out')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer }, file: string, flags: { rows?: boolean; crossValidate?: string }) => {
        const fold = flags.crossValidate
        if (fold !== undefined && fold !== 'source' && fold !== 'chip')
          throw new HolonError('usage', `--cross-validate is "${fold}"; it must be source or chip.`)
        const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
          throw new HolonError(
            'invalid_parameter',
            `The file ${file} cannot be read (${cause.code ?? cause.message}).`,
            { param: 'file', cause },
          )
        })
        const report = validate(text, { rows: flags.rows, crossValidate: fold })
        if (printer.json) printer.document(report)
        else printReport(printer, report)
        return 0
      }),
    )
}

/** What is shown beside fit and speed. */
interface Details {
  of: (placement: Placement) => PlacementDetails
  splitPrefill: ReturnType<typeof splitPrefill>
}

function forJson(made: Plan, more: Details, explain: boolean) {
  return {
    ...made,
    splitPrefill: more.splitPrefill,
    placements: made.placements.map((placement) => ({
      ...placementForJson(placement),
      ...(placement.fits ? more.of(placement) : {}),
      ...(explain && placement.fits ? { explain: explanation(placement) } : {}),
    })),
  }
}

/** Where each input of the figures comes from, each once. */
function inputsOf({ setup }: Placement) {
  const { model, quant, members, link } = setup
  const all = members.map(
    ({ hardware: { chip } }) => [`${chip.id} ${chip.memory_bandwidth_gb_s}`, chip] as const,
  )
  const chips = [...new Map(all).values()]
  const inputs: { kind: string; name: string; source: string; memoryBandwidthGbS?: number }[] = [
    { kind: 'model', name: model.id, source: model.source },
    { kind: 'quant', name: quant.id, source: quant.source },
    ...chips.map((chip) => ({
      ...{ kind: 'chip', name: chip.id, source: chip.source },
      memoryBandwidthGbS: chip.memory_bandwidth_gb_s,
    })),
  ]
  if (link) inputs.push({ kind: 'link', name: link.name, source: link.source })
  return inputs
}

const explanation = (placement: Placement) => ({
  inputs: inputsOf(placement),
  decode: explainTerms(decodeTerms(placement.setup, placement.shares), constants.decode),
  prefill: explainTerms(prefillTerms(placement.setup, placement.shares), constants.prefill),
  provenance: constants.provenance,
})

const speed = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(0) : value.toFixed(1)
const rangeText = ({ expected, low, high }: { expected: number; low: number; high: number }) =>
  `${speed(expected)} (${speed(low)} to ${speed(high)})`

function where(placement: Placement): string {
  const names = placement.machines.map((name) => name.replace(/ #\d+$/, ''))
  const kinds = [...new Set(names)].map((name) => {
    const count = names.filter((other) => other === name).length
    return count > 1 ? `${count} x ${name}` : name
  })
  const how = placement.strategy === 'solo' ? '' : ` over ${placement.link}, ${placement.strategy}`
  return `${kinds.join(' + ')}${how}`
}

function printPlan(printer: Printer, made: Plan, more: Details, explain: boolean): void {
  const best = made.placements.find((placement) => placement.id === made.recommended)
  const { model, request } = made
  printer.line(
    best
      ? `${printer.good('Yes')}: ${rangeText(best.decodeTokS)} tok/s on ${where(best)}; first token after ${formatSeconds(best.ttftS.expected)}.`
      : `${printer.bad('No')}: ${made.placements[0]?.whyNot ?? 'it fits nowhere'}.`,
  )
  printer.line(
    printer.faint(
      `${model.id} ${model.quant}, ${formatBytes(model.weightsBytes)} of weights, ${request.contextTokens} tokens of context, ${request.promptTokens} of prompt, ${request.parallel} at once`,
    ),
  )
  printer.line()
  printer.table(
    ['placement', 'engine', 'fits', 'decode tok/s', 'prefill tok/s', 'first token', 'memory', 'basis'],
    made.placements.map((placement) => [
      where(placement),
      placement.engine,
      placement.fits ? 'yes' : 'no',
      placement.fits ? rangeText(placement.decodeTokS) : '–',
      placement.fits ? speed(placement.prefillTokS.expected) : '–',
      placement.fits ? formatSeconds(placement.ttftS.expected) : '–',
      memoryText(placement),
      placement.fits ? placement.basis : '–',
    ]),
  )
  const shown = best ?? made.placements[0]
  if (shown) {
    printer.line()
    for (const reason of shown.because) printer.line(`- ${reason}`)
  }
  if (best) for (const line of detailLines(best, more)) printer.line(`- ${line}`)
  if (explain && best) printExplanation(printer, best)
  if (made.unknowns.length > 0) {
    printer.line()
    printer.line(printer.strong('Not known:'))
    for (const unknown of made.unknowns) printer.line(`- ${unknown}`)
  }
}

/** Loading, many requests, drafting and split prefill, a sentence each. */
function detailLines(placement: Placement, more: Details): string[] {
  const { load, inFlight, speculation } = more.of(placement)
  const drive = `${(load.driveBytesPerS / 1e9).toFixed(0)} GB/s`
  const lines = [
    `loads in ${formatSeconds(load.fromDriveS)} from drives of ${drive}${load.overLinkS === null ? '' : `, in ${formatSeconds(load.overLinkS)} when only one machine has the file`}`,
  ]
  if (inFlight)
    lines.push(
      `with several requests in flight: ${inFlight.map((step) => `${step.requests}: ${speed(step.tokS)}`).join(', ')} tok/s together`,
    )
  if (speculation)
    lines.push(
      `drafting ${speculation.draft.tokens} tokens makes it ${speed(placement.decodeTokS.expected * speculation.speedup)} tok/s: ${speculation.because}`,
    )
  if (more.splitPrefill) {
    const { prefillOn, decodeOn, ttftS, decoderAloneTtftS, because } = more.splitPrefill
    lines.push(
      `prefill on ${prefillOn} and decode on ${decodeOn}: first token after ${formatSeconds(ttftS)} instead of ${formatSeconds(decoderAloneTtftS)}; ${because}`,
    )
  }
  return lines
}

function memoryText(placement: Placement): string {
  const worst = placement.memory.reduce((a, b) =>
    b.totalBytes / b.limitBytes > a.totalBytes / a.limitBytes ? b : a,
  )
  return `${formatBytes(worst.totalBytes)} of ${formatBytes(worst.limitBytes)}`
}

/** Memory as the sum it is, and the inputs. */
function printInputs(printer: Printer, placement: Placement): void {
  printer.line()
  printer.line(
    printer.strong('Memory = weights + KV cache + compute buffers; the reserve stays with the system'),
  )
  printer.table(
    ['machine', 'weights', 'KV cache', 'compute', 'total', 'reserve'],
    placement.memory.map((use) => [
      use.machine,
      ...[use.weightsBytes, use.kvBytes, use.computeBytes, use.totalBytes, use.reserveBytes].map(formatBytes),
    ]),
  )
  printer.line()
  printer.table(
    ['input', 'source'],
    inputsOf(placement).map(({ name, memoryBandwidthGbS, source }) => [
      memoryBandwidthGbS === undefined ? name : `${name}, ${memoryBandwidthGbS} GB/s`,
      source,
    ]),
  )
}

function printExplanation(printer: Printer, placement: Placement): void {
  const { decode, prefill, provenance } = explanation(placement)
  for (const [title, parts] of [
    ['one decode step', decode],
    ['the prompt', prefill],
  ] as const) {
    printer.line()
    printer.line(printer.strong(`Seconds of ${title} = sum of counted x factor`))
    printer.table(
      ['term', 'counted', 'ms counted', 'factor', 'ms', 'share'],
      parts.map((part) => [
        part.term,
        part.counted,
        (part.countedSeconds * 1e3).toFixed(3),
        part.factor.toFixed(2),
        (part.seconds * 1e3).toFixed(2),
        `${(part.share * 100).toFixed(0)} %`,
      ]),
    )
  }
  printer.line(
    printer.faint(
      `Factors: ${provenance.command}, ${provenance.rows} rows of ${provenance.sources} sources.`,
    ),
  )
  printInputs(printer, placement)
}

function printOffers(printer: Printer, offers: ReturnType<typeof smallestFor>, least: number): void {
  if (printer.json) {
    printer.document({
      offers: offers.map((offer) => ({ ...offer, placement: placementForJson(offer.placement) })),
    })
    return
  }
  if (offers.length === 0) {
    printer.line(`${printer.bad('None')} of the known machines, up to four together, reaches ${least} tok/s.`)
    return
  }
  printer.table(
    ['machines', 'memory', 'decode tok/s', 'first token', 'basis'],
    offers
      .slice(0, 20)
      .map((offer) => [
        `${offer.count} x ${offer.machines}`,
        `${offer.memoryGb} GiB`,
        rangeText(offer.placement.decodeTokS),
        formatSeconds(offer.placement.ttftS.expected),
        offer.placement.basis,
      ]),
  )
}

function printReport(printer: Printer, report: ValidationReport): void {
  const how = report.crossValidated
    ? `left out by ${report.crossValidated}, refitted without it`
    : 'by the constants that ship'
  printer.line(
    `${report.scored} of ${report.rows} rows scored (${((100 * report.scored) / Math.max(1, report.rows)).toFixed(1)} %), ${how}.`,
  )
  printer.line()
  const row = (name: string, summary: ErrorSummary) => [
    name,
    String(summary.n),
    percent(summary.medianAbsPct),
    percent(summary.p90AbsPct),
    percent(summary.within15Pct),
    percent(summary.within25Pct),
    percent(summary.biasPct),
  ]
  const head = ['', 'rows', 'median error', '90th', 'within 15 %', 'within 25 %', 'bias']
  printer.table(head, [
    row('decode, one machine', report.decode),
    row('decode, pooled', report.pooled),
    row('prefill', report.prefill),
    row('memory', report.memory),
  ])
  printer.line()
  printer.table(
    head,
    Object.entries(report.byEngine).map(([name, summary]) => row(name, summary)),
  )
  printer.line()
  printer.table(
    head,
    Object.entries(report.bySource).map(([name, summary]) => row(name.slice(0, 60), summary)),
  )
  printer.line()
  const { interval } = report
  printer.line(
    `The stated interval promises ${interval.statedPct} %; it holds ${percent(interval.decodePct)} of decode, ${percent(interval.pooledPct)} of pooled and ${percent(interval.prefillPct)} of prefill rows.`,
  )
  const reasons = new Map<string, number>()
  for (const { reason } of report.skipped) {
    const kind = reason.replace(/"[^"]*"/, '…')
    reasons.set(kind, (reasons.get(kind) ?? 0) + 1)
  }
  for (const [reason, count] of reasons) printer.line(printer.faint(`skipped ${count}: ${reason}`))
}

const percent = (value: number | null): string => (value === null ? '–' : `${value.toFixed(1)} %`)
