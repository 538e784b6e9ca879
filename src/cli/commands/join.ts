import type { Command } from 'commander'
import { readIdentity } from '../../agent/join/identity.ts'
import { joinFleet } from '../../agent/join/member.ts'
import { HolonError } from '../../core/errors.ts'
import { enrol } from '../enrol.ts'
import { hubTrust } from '../hub-trust.ts'
import { openLocalNode } from '../local-node.ts'
import type { Cli, Shell } from '../shell.ts'
import { stopSignal } from '../stop-signal.ts'
import { version } from '../version.ts'

interface JoinOptions {
  token?: string
  name?: string
  role?: string
  place?: string
  engine?: string
  json?: boolean
}

export function registerJoin(program: Command, shell: Shell): void {
  program
    .command('join')
    .description('Make this machine a node of a fleet, and serve it. No port is opened here.')
    .argument('[hub]', 'address of the hub; without it the one it knows, else one found on the local network')
    .option('--token <token>', 'a join token (`holon nodes token`); also HOLON_JOIN_TOKEN')
    .option('--name <name>', 'what to call this machine (default: its host name)')
    .option('--role <text>', 'what this machine is for')
    .option('--place <text>', 'where it stands')
    .option('--engine <id>', 'engine to prefer (`holon engines` lists them)')
    .option('--json', 'print one JSON document when connected')
    .action(
      shell.action(async (cli, hub: string | undefined, options: JoinOptions) => serve(cli, hub, options)),
    )
}

/** Serves until a signal ends it, or the hub sends this machine away for good. */
async function serve(cli: Cli, hub: string | undefined, options: JoinOptions): Promise<number> {
  const { printer, env } = cli
  const config = cli.config({ engine: options.engine })
  const stopping = stopSignal()
  const local = await openLocalNode(config, env, options.name).catch((error: unknown) => {
    stopping.dispose()
    throw error
  })
  try {
    const identity = await enrol({
      cli,
      home: config.home,
      hub: hub ?? config.hub,
      known: readIdentity(config.home),
      token: options.token ?? env.HOLON_JOIN_TOKEN?.trim(),
      name: options.name,
      signal: stopping.signal,
    })
    let told = ''
    const member = joinFleet({
      identity,
      node: local.agent,
      home: config.home,
      version,
      role: options.role,
      place: options.place,
      log: local.log,
      ca: hubTrust(config.tlsCa).ca,
      onState: (state) => {
        if (state.phase === 'connected') {
          printer.line(`Connected to ${printer.strong(identity.hub)} as ${printer.strong(identity.name)}.`)
          if (told === '') {
            const { hub: url, nodeId, name } = identity
            if (printer.json) printer.document({ hub: url, nodeId, name, pid: process.pid, version })
            printer.line(printer.faint('Ctrl-C stops it.'))
          }
          told = 'connected'
        } else if (state.phase === 'waiting' && state.problem.message !== told) {
          told = state.problem.message
          printer.note(`${state.problem.message} Trying again.`)
        }
      },
    })
    try {
      const reason = await Promise.race([stopping.asked, member.ended])
      if (reason instanceof HolonError) throw reason
      printer.note(`\n${reason ?? 'Asked'}: stopping.`)
    } finally {
      await member.stop()
    }
  } catch (error) {
    if (stopping.signal.aborted) return 0
    throw error
  } finally {
    await local.close()
    stopping.dispose()
  }
  return 0
}
