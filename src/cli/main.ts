#!/usr/bin/env node
import { type Command, CommanderError } from 'commander'
import { HolonError } from '../core/errors.ts'
import { registerCompare } from './commands/compare.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerEngines } from './commands/engines.ts'
import { registerExplain } from './commands/explain.ts'
import { registerJoin } from './commands/join.ts'
import { registerKeys } from './commands/keys.ts'
import { registerLoad } from './commands/load.ts'
import { registerLogin } from './commands/login.ts'
import { registerLogout } from './commands/logout.ts'
import { registerModels } from './commands/models.ts'
import { registerNodes } from './commands/nodes.ts'
import { registerPlan } from './commands/plan.ts'
import { registerPool } from './commands/pool.ts'
import { registerProfile } from './commands/profile.ts'
import { registerPs } from './commands/ps.ts'
import { registerPull } from './commands/pull.ts'
import { registerRm } from './commands/rm.ts'
import { registerRun } from './commands/run.ts'
import { registerService } from './commands/service.ts'
import { registerStatus } from './commands/status.ts'
import { registerUnload } from './commands/unload.ts'
import { registerUp } from './commands/up.ts'
import { registerVersion } from './commands/version.ts'
import { HouseCommand } from './house-command.ts'
import { createPrinter } from './printer.ts'
import { createShell, type Shell } from './shell.ts'
import { version } from './version.ts'

/** The program: one file per command, each of which registers itself here. */
const terminal = { stdout: process.stdout, stderr: process.stderr, env: process.env }
const shell = createShell(terminal)
const program = new HouseCommand('holon')
  .description('Many machines, one mind: language models on the machines you own, behind one address.')
  .version(version, '-V, --version', 'print the version')
  .configureHelp({ showGlobalOptions: false })
  // An option after a subcommand is the subcommand's own, also where its parent has one of that name (nodes --json).
  .enablePositionalOptions()
  .showSuggestionAfterError(true)
  .exitOverride()

/** In the order of `holon --help`, under the headings that stand there. */
const commands: [string, ((program: Command, shell: Shell) => void)[]][] = [
  ['Serve:', [registerUp, registerStatus, registerService]],
  [
    'Models:',
    [registerPull, registerModels, registerRun, registerLoad, registerUnload, registerPs, registerRm],
  ],
  [
    'Several machines:',
    [registerJoin, registerLogin, registerLogout, registerNodes, registerPool, registerExplain],
  ],
  ['Who may ask:', [registerKeys]],
  ['Before loading or buying:', [registerPlan, registerCompare]],
  ['This machine:', [registerProfile, registerEngines, registerDoctor, registerVersion]],
]
for (const [heading, registers] of commands) {
  program.commandsGroup(heading)
  for (const register of registers) register(program, shell)
}
program.helpCommand('help [command]', 'print this help, or that of a command')

// A reader that stops reading (`holon models | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(shell.exitCode)
    throw error
  })
}

try {
  await program.parseAsync()
  process.exitCode = shell.exitCode
} catch (error) {
  if (error instanceof HolonError) createPrinter(terminal, process.argv.includes('--json')).error(error)
  else if (!(error instanceof CommanderError)) throw error
  // Commander has printed help and version already, which end well; everything else was used wrongly.
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : 2
}

// Where nothing is left to do, Node 20 first closes what handles there are, and has been seen to wait for one of them for ever
// with a processor of its own: an agent whose hub had gone, at its end. To say that it ends leaves that out. Not before the
// command is done: one that waits for nothing is a fault, which Node names (exit 13).
process.once('beforeExit', () => process.exit())
