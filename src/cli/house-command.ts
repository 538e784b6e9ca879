/**
 * Commander's own errors in the form that all errors here have: one sentence that says what and why, and a hint that says
 * what to do. Its texts are read for their names; one that is not known passes as it is, with the way to the help.
 */
import { Command, type ErrorOptions } from 'commander'
import { HolonError } from '../core/errors.ts'

export class HouseCommand extends Command {
  constructor(name?: string) {
    super(name)
    this.helpOption('-h, --help', 'print this help')
  }

  override createCommand(name?: string): HouseCommand {
    return new HouseCommand(name)
  }

  /** @throws HolonError usage, always */
  override error(message: string, options?: ErrorOptions): never {
    const [said = '', suggested] = message.replace(/^error: /, '').split('\n(Did you mean ')
    const nearest = suggested?.replace(/^one of /, '').replace(/\?\)$/, '')
    const help = `\`${pathOf(this)} --help\` ${options?.code === 'commander.unknownCommand' ? 'lists the commands' : 'says how it is used'}.`
    const hint = [nearest && `Did you mean ${nearest}?`, this.meant(options?.code, nearest), help]
    throw new HolonError('usage', sentence(this, said, options?.code), {
      hint: hint.filter((part) => part).join(' '),
    })
  }

  /** What else may be meant: a word that looks like an option, or one of the commands below this one. */
  private meant(code: string | undefined, nearest: string | undefined): string {
    if (code === 'commander.unknownOption' && nearest === undefined && this.registeredArguments.length > 0)
      return 'A word that begins with a dash goes after `--`.'
    if (code !== 'commander.excessArguments' || this.commands.length === 0) return ''
    return `Its commands are ${this.commands.map((command) => command.name()).join(', ')}.`
  }
}

function pathOf(command: Command): string {
  const above = command.parent === null ? '' : `${pathOf(command.parent)} `
  return `${above}${command.name()}`
}

function sentence(command: Command, said: string, code: string | undefined): string {
  const path = `\`${pathOf(command)}\``
  const [, name] = /'([\s\S]*)'/.exec(said) ?? []
  switch (code) {
    case 'commander.unknownOption':
      return `${path} has no option "${name}".`
    case 'commander.unknownCommand':
      return `${path} has no command "${name}".`
    case 'commander.excessArguments': {
      const most = command.registeredArguments.length
      const takes = most === 0 ? 'no arguments' : most === 1 ? 'one argument' : `at most ${most} arguments`
      return `${path} takes ${takes}, and got ${command.args.length}.`
    }
    case 'commander.missingArgument':
      return `${path} needs <${name}>, which is missing.`
    case 'commander.optionMissingArgument':
      return `The option "${name}" needs a value, which is missing.`
    case 'commander.invalidArgument':
      return capital(said.replace(/^[\s\S]*? is invalid\. /, ''))
    default:
      return /[.?!]$/.test(said) ? capital(said) : `${capital(said)}.`
  }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
