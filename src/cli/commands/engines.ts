import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { createDrivers } from '../../engines/index.ts'
import type { Config } from '../config.ts'
import { createFileLog } from '../file-log.ts'
import type { Printer } from '../printer.ts'
import type { Shell } from '../shell.ts'

/** What people call an engine, beside its id. */
const alsoKnownAs: Record<string, string> = {
  'llama.cpp': 'llama-server',
  llamacpp: 'llama-server',
  'node-llama-cpp': 'embedded',
}

export function registerEngines(program: Command, shell: Shell): void {
  const engines = program
    .command('engines')
    .description('List the engines that can run models on this machine, best first.')
    .option('--json', 'print one JSON document')
    .action(shell.action(async ({ printer, config }) => listEngines(printer, config())))
  engines
    .command('install <engine>')
    .description('Get an engine: llama.cpp (Homebrew, or built from source) or embedded.')
    .option('--json', 'print one JSON document')
    .action(shell.action(async ({ printer, config }, name: string) => installEngine(printer, config(), name)))
}

async function listEngines(printer: Printer, config: Config): Promise<number> {
  const drivers = createDrivers({ home: config.home, log: createFileLog(config.home) })
  const found = await Promise.all(drivers.map((driver) => driver.detect()))
  if (printer.json) {
    printer.document({ engines: found })
    return 0
  }
  printer.table(
    ['engine', 'state', 'version', 'where'],
    found.map((engine) => [
      engine.id,
      engine.available ? 'ready' : 'not here',
      engine.version ?? '–',
      engine.path ?? engine.url ?? '–',
    ]),
  )
  for (const engine of found) {
    if (!engine.available)
      printer.note(`${engine.id}: ${engine.whyNot ?? 'not installed'}. ${engine.hint ?? ''}`.trim())
  }
  return 0
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
