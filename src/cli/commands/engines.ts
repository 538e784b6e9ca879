import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { createDrivers } from '../../engines/index.ts'
import type { Config } from '../config.ts'
import { createFileLog } from '../file-log.ts'
import { enginesOfOthers, type OtherEngine } from '../other-engines.ts'
import type { Printer } from '../printer.ts'
import type { Cli, Shell } from '../shell.ts'

/** What people call an engine, beside its id. */
const alsoKnownAs: Record<string, string> = {
  'llama.cpp': 'llama-server',
  llamacpp: 'llama-server',
  'node-llama-cpp': 'embedded',
}

export function registerEngines(program: Command, shell: Shell): void {
  const engines = program
    .command('engines')
    .description(
      'List the engines of this machine: those Holon runs, best first, and those of others with their models.',
    )
    .option('--json', 'print one JSON document')
    .action(shell.action(listEngines))
  engines
    .command('install <engine>')
    .description('Get an engine: llama.cpp (Homebrew, or built from source) or embedded.')
    .option('--json', 'print one JSON document')
    .action(shell.action(async ({ printer, config }, name: string) => installEngine(printer, config(), name)))
}

async function listEngines({ printer, config, env }: Cli): Promise<number> {
  const settings = config()
  const drivers = createDrivers({ home: settings.home, log: createFileLog(settings.home) })
  const [own, others] = await Promise.all([
    Promise.all(drivers.map((driver) => driver.detect())),
    enginesOfOthers(settings, env),
  ])
  if (printer.json) {
    printer.document({ engines: own, others })
    return 0
  }
  printer.table(
    ['engine', 'state', 'version', 'where'],
    own.map((engine) => [
      engine.id,
      engine.available ? 'ready' : engine.onFirstUse ? 'comes with the first model' : 'not installed',
      engine.version ?? '–',
      engine.path ?? engine.url ?? '–',
    ]),
  )
  for (const engine of own) {
    if (!engine.available)
      printer.note(`${engine.id}: ${engine.whyNot ?? 'not installed'} ${engine.hint ?? ''}`.trim())
  }
  tellOthers(printer, others)
  return 0
}

/** Engines that Holon neither starts nor ends: what each serves, whether Holon offers it, and if not, how it would. */
function tellOthers(printer: Printer, others: readonly OtherEngine[]): void {
  if (others.length === 0) {
    printer.note(
      'No engine of others runs on this machine at its usual place. One elsewhere: HOLON_ATTACH=openai@URL.',
    )
    return
  }
  printer.line('')
  printer.table(
    ['engines of others', 'state', 'version', 'where', 'models', 'offered by Holon'],
    others.map((engine) => [
      engine.id,
      engine.state,
      engine.version ?? '–',
      engine.url ?? engine.path ?? '–',
      String(engine.models.length),
      engine.offered ? 'yes' : 'no',
    ]),
  )
  for (const engine of others) {
    if (engine.models.length > 0) printer.note(`${engine.id}: ${namesOf(engine.models)}`)
    if (engine.whyNot !== null) printer.note(`${engine.id}: ${engine.whyNot} ${engine.hint ?? ''}`.trim())
    printer.note(`${engine.id}: ${engine.because}`)
  }
}

function namesOf(models: readonly string[]): string {
  const shown = models.slice(0, 8).join(', ')
  return models.length > 8 ? `${shown} and ${models.length - 8} more` : shown
}

async function installEngine(printer: Printer, config: Config, name: string): Promise<number> {
  const drivers = createDrivers({ home: config.home, log: createFileLog(config.home) })
  const id = alsoKnownAs[name] ?? name
  const driver = drivers.find((candidate) => candidate.id === id)
  if (!driver) {
    throw new HolonError('usage', `There is no engine called "${name}".`, {
      hint: `Known are ${[...drivers.map((each) => each.id), ...Object.keys(alsoKnownAs)].join(', ')}.`,
    })
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const progress = printer.progress(`Installing ${driver.title}`)
  try {
    await driver.install({
      signal: stop.signal,
      onProgress: ({ percent, phase }) => progress.update(percent === null ? null : percent / 100, phase),
    })
    progress.done()
  } catch (error) {
    progress.stop()
    throw error
  }
  const found = await driver.detect()
  if (printer.json) printer.document({ engine: found })
  else
    printer.line(`${driver.title} ${found.version ?? ''} is ready${found.path ? ` at ${found.path}` : ''}.`)
  return found.available ? 0 : 1
}
