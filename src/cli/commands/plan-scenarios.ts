import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import {
  bestModelsFor,
  contextSweep,
  type Machine,
  mixOn,
  parseTenant,
  readRequest,
} from '../../planner/index.ts'
import { planMachines } from '../plan-machines.ts'
import { modelFromPlace } from '../plan-model.ts'
import { type Cli, type Shell, wholeNumber } from '../shell.ts'

/**
 * `holon plan best`, `mix` and `sweep`: questions over more than one request. Each has its own `--on` and `--json`:
 * options that stand after a subcommand belong to it.
 */

interface ScenarioFlags {
  on?: string
  quant?: string
  context?: number
  count?: number
  least?: number
}

const json = 'print one JSON document'

function question(plan: Command, name: string, description: string): Command {
  return plan
    .command(name)
    .description(description)
    .option('--on <machine>', 'this, a node name, or hardware such as m4-max-40c:128gb')
}

export function registerPlanScenarios(plan: Command, shell: Shell): void {
  question(plan, 'best', 'Name the ablest models that fit a machine and answer fast enough.')
    .option('--context <tokens>', 'tokens of context to hold', wholeNumber('--context', 1, 16_777_216))
    .option('--count <n>', 'how many to name', wholeNumber('--count', 1, 20))
    .option('--least <tok/s>', 'slowest decode that is still useful', wholeNumber('--least', 1, 100_000))
    .option('--json', json)
    .action(shell.action(async (cli, flags: ScenarioFlags) => best(cli, flags)))
  question(plan, 'mix', 'Say whether several models and services fit one machine together.')
    .argument('<tenant...>', '"[COUNTx ]MODEL[:QUANT][@CONTEXT]" or SERVICE=GB')
    .option('--json', json)
    .action(shell.action(async (cli, tenants: string[], flags: ScenarioFlags) => mix(cli, tenants, flags)))
  question(plan, 'sweep', 'Show memory and speed of one model as its context fills, up to a million tokens.')
    .option('--quant <name>', 'quant, such as Q4_K_M, Q8_0, 4bit or MXFP4')
    .argument('<model>', 'as for `holon plan`')
    .option('--json', json)
    .action(shell.action(async (cli, model: string, flags: ScenarioFlags) => sweep(cli, model, flags)))
}

async function oneMachine(cli: Cli, on: string | undefined): Promise<Machine> {
  const machines = await planMachines(cli, on ?? 'this', null)
  if (machines.length !== 1)
    throw new HolonError('usage', `${machines.length} machines are named; this question is about one.`, {
      hint: 'For example --on m4-max-40c:128gb.',
    })
  return machines[0] as Machine
}

async function best(cli: Cli, flags: ScenarioFlags): Promise<number> {
  const { printer } = cli
  const machine = await oneMachine(cli, flags.on)
  const models = bestModelsFor(machine, {
    contextTokens: flags.context,
    leastTokS: flags.least,
    count: flags.count,
  })
  if (printer.json) {
    printer.document({ machine: machine.id, models })
    return 0
  }
  const [first] = models
  printer.line(
    first
      ? `${printer.good(first.modelId)} ${first.quant} on ${machine.id}: ${first.because}.`
      : `${printer.bad('None')}: not even the smallest model fits ${machine.id}.`,
  )
  if (first) {
    printer.line()
    printer.table(
      ['model', 'quant', 'memory', 'decode tok/s', 'first token'],
      models.map((model) => [
        model.modelId,
        model.quant,
        formatBytes(model.memoryBytes),
        model.decodeTokS.expected.toFixed(0),
        formatSeconds(model.ttftS.expected),
      ]),
    )
  }
  return first ? 0 : 1
}

async function mix(cli: Cli, tenants: readonly string[], flags: ScenarioFlags): Promise<number> {
  const { printer } = cli
  const parsed = tenants.map(parseTenant)
  const made = mixOn(await oneMachine(cli, flags.on), parsed)
  if (printer.json) {
    printer.document(made)
    return 0
  }
  printer.line(`${made.fits ? printer.good('Yes') : printer.bad('No')}: ${made.because}.`)
  printer.line()
  printer.table(
    ['what', 'copies', 'each', 'together', 'decode tok/s alone'],
    made.parts.map((part) => [
      part.name,
      String(part.count),
      formatBytes(part.bytesEach),
      formatBytes(part.bytesEach * part.count),
      part.decodeTokSAlone === null ? '–' : part.decodeTokSAlone.toFixed(0),
    ]),
  )
  return made.fits ? 0 : 1
}

async function sweep(cli: Cli, model: string, flags: ScenarioFlags): Promise<number> {
  const { printer } = cli
  const given = (await modelFromPlace(model, flags.quant)) ?? undefined
  const request = readRequest({ model, quant: flags.quant, contextTokens: 4096 }, given)
  const steps = contextSweep(request, await planMachines(cli, flags.on, model))
  if (printer.json) {
    printer.document({ model: request.model.id, quant: request.quant.id, steps })
    return 0
  }
  const longest = steps.filter((step) => step.fits).at(-1)
  printer.line(
    longest
      ? `${request.model.id} ${request.quant.id} holds ${longest.contextTokens} tokens of context${trainedFor(request.model.maxContext, longest.contextTokens)}.`
      : `${printer.bad('No')}: ${request.model.id} ${request.quant.id} does not fit with ${steps[0]?.contextTokens} tokens of context.`,
  )
  printer.line()
  printer.table(
    ['context', 'KV cache', 'fits', 'decode tok/s', 'first token'],
    steps.map((step) => [
      String(step.contextTokens),
      formatBytes(step.kvBytes),
      step.fits ? 'yes' : 'no',
      step.decodeTokS === null ? '–' : step.decodeTokS.toFixed(1),
      step.ttftS === null ? '–' : formatSeconds(step.ttftS),
    ]),
  )
  return longest ? 0 : 1
}

const trainedFor = (most: number | null, held: number): string =>
  most !== null && held > most ? `, and was trained for ${most}` : ''
