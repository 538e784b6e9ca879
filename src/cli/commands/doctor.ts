import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { asHolonError } from '../../core/errors.ts'
import { homeAt } from '../../core/home.ts'
import { silentLog } from '../../core/log.ts'
import { createDrivers } from '../../engines/index.ts'
import { chips } from '../../facts/index.ts'
import { type Check, runDoctor } from '../../profile/doctor/index.ts'
import { profileMachine } from '../../profile/profile-machine.ts'
import type { Config } from '../config.ts'
import { readLock, staleLock } from '../home-lock.ts'
import type { Printer } from '../printer.ts'
import type { Cli, Shell } from '../shell.ts'

export function registerDoctor(program: Command, shell: Shell): void {
  program
    .command('doctor')
    .description('Look for what commonly breaks on this machine, and say what to do about it.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli) => {
        const checks = await examine(cli)
        if (cli.printer.json) cli.printer.document({ checks })
        else printChecks(cli.printer, checks)
        return checks.some((check) => check.status === 'fail') ? 1 : 0
      }),
    )
}

async function examine(cli: Cli): Promise<Check[]> {
  const { settings, check } = readSettings(cli)
  const { home } = settings
  const drivers = createDrivers({ home, log: silentLog })
  const profile = await profileMachine({ home, drivers, chips })
  const running = readLock(home)
  const lock = { running, stale: running ? null : staleLock(home) }
  const checks = await runDoctor({ ...settings, lock, profile, hubUrl: settings.hub })
  return [...checks, ...(check ? [check] : [])]
}

/** A doctor that gives up on a bad setting is none: it says so, and looks at the rest with the defaults. */
function readSettings(cli: Cli): {
  settings: Pick<Config, 'home' | 'host' | 'port' | 'tls' | 'hub'>
  check: Check | null
} {
  try {
    return { settings: cli.config(), check: null }
  } catch (thrown) {
    const error = asHolonError(thrown)
    const root = resolve(cli.env.HOLON_HOME?.trim() || join(homedir(), '.holon'))
    return {
      settings: { home: homeAt(root), host: '127.0.0.1', port: 4656, tls: null, hub: null },
      check: {
        ...{ id: 'settings', title: 'Settings', status: 'fail', detail: error.message },
        hint: error.hint ?? 'Correct the setting.',
      },
    }
  }
}

function printChecks(printer: Printer, checks: readonly Check[]): void {
  const marks = { ok: printer.good('✓'), warn: printer.strong('!'), fail: printer.bad('✗') }
  const width = Math.max(...checks.map((check) => check.title.length))
  for (const check of checks) {
    const title = check.title.padEnd(width)
    printer.line(`${marks[check.status]} ${printer.strong(title)}  ${check.detail}`)
    if (check.hint) printer.line(`  ${' '.repeat(width)}  → ${check.hint}`)
  }
  const failed = checks.filter((check) => check.status === 'fail').length
  const warned = checks.filter((check) => check.status === 'warn').length
  printer.line()
  if (failed > 0) printer.line(printer.bad(`${things(failed)} to put right before Holon can work well.`))
  else if (warned > 0) printer.line(`${things(warned)} could be better; Holon works.`)
  else printer.line(printer.good('All is well.'))
}

const things = (count: number) => (count === 1 ? 'One thing' : `${count} things`)
