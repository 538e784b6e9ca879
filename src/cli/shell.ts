import { type Command, InvalidArgumentError } from 'commander'
import { asHolonError } from '../core/errors.ts'
import { type Config, type Flags, resolveConfig } from './config.ts'
import { readLock } from './home-lock.ts'
import { createHubClient, type HubClient } from './hub-client.ts'
import { hubTrust, pinnedTo } from './hub-trust.ts'
import { createPrinter, type Printer, type Terminal } from './printer.ts'

/** What a command gets to work with. */
export interface Cli {
  printer: Printer
  env: Record<string, string | undefined>
  config(flags?: Flags): Config
  /**
   * The hub that commands talk to: HOLON_HUB, else the one running on this HOLON_HOME, else the configured port.
   * Nothing is sent yet; calls fail with `not_running` when no hub answers.
   */
  hub(): HubClient
}

export interface Shell {
  /** Wraps a command: builds its `Cli`, prints what it throws, and keeps the exit code (0 done, 1 failed, 2 used wrongly). */
  action<Args extends unknown[]>(
    run: (cli: Cli, ...args: Args) => Promise<number | undefined>,
  ): (...args: Args) => Promise<void>
  exitCode: number
}

export function createShell(terminal: Terminal): Shell {
  const shell: Shell = {
    exitCode: 0,
    action:
      (run) =>
      async (...args) => {
        const command = args.at(-1) as Command
        const json = command.optsWithGlobals<{ json?: boolean }>().json === true
        const printer = createPrinter(terminal, json)
        try {
          shell.exitCode = (await run(createCli(terminal, printer), ...args)) ?? 0
        } catch (thrown) {
          const error = asHolonError(thrown)
          printer.error(error)
          if (error.code === 'internal' && thrown instanceof Error && terminal.env.HOLON_DEBUG)
            printer.note(String(thrown.stack))
          shell.exitCode = error.code === 'usage' || error.code === 'config_invalid' ? 2 : 1
        }
      },
  }
  return shell
}

function createCli(terminal: Terminal, printer: Printer): Cli {
  const config = (flags?: Flags) => resolveConfig(terminal.env, flags)
  return {
    printer,
    env: terminal.env,
    config,
    hub: () => {
      const settings = config()
      const lock = readLock(settings.home)
      const url = settings.hub ?? lock?.url ?? `http://${settings.host}:${settings.port}`
      // Its own hub on this machine knows the owner by what it wrote into a file of his.
      const own = lock !== null && url === lock.url ? lock : null
      const trust = own?.certFile ? pinnedTo(own.certFile) : hubTrust(settings.tlsCa)
      return createHubClient(url, settings.apiKey ?? own?.key ?? null, trust.fetch)
    },
  }
}

/** A whole number from the command line. @throws InvalidArgumentError, which becomes a `usage` error */
export function wholeNumber(name: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(
      `${name} is "${text}"; it must be a whole number from ${least} to ${most}.`,
    )
  }
}
