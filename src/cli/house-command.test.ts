import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { HolonError } from '../core/errors.ts'
import { HouseCommand } from './house-command.ts'

function program(): HouseCommand {
  const holon = new HouseCommand('holon').enablePositionalOptions().exitOverride()
  holon.command('ps').option('--json', 'x').option('--watch', 'x')
  holon.command('run').argument('<model>').argument('[words...]').option('--tokens <n>', 'x', readNumber)
  holon.command('show').argument('<name>').requiredOption('--as <how>', 'x').exitOverride()
  holon.command('pool').command('preview').argument('<model>').option('--members <names>', 'x')
  const models = holon.command('models').action(() => undefined)
  models.command('pin')
  models.command('offer')
  return holon
}

function readNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new InvalidArgumentError(`--tokens is "${text}"; it must be a number.`)
}

function refusal(...words: string[]): [string, string | undefined] {
  try {
    program().parse(words, { from: 'user' })
  } catch (error) {
    if (error instanceof HolonError && error.code === 'usage') return [error.message, error.hint]
    throw error
  }
  throw new Error('it was not refused')
}

describe('what was used wrongly', () => {
  test.each<[string[], string, string]>([
    [
      ['ps', '--jsno'],
      '`holon ps` has no option "--jsno".',
      'Did you mean --json? `holon ps --help` says how it is used.',
    ],
    [
      ['ps', '--zzzzzzzz'],
      '`holon ps` has no option "--zzzzzzzz".',
      '`holon ps --help` says how it is used.',
    ],
    [['ps', 'one'], '`holon ps` takes no arguments, and got 1.', '`holon ps --help` says how it is used.'],
    [
      ['models', 'pinn'],
      '`holon models` takes no arguments, and got 1.',
      'Its commands are pin, offer. `holon models --help` says how it is used.',
    ],
    [
      ['pool', 'preview', 'a', 'b', 'c'],
      '`holon pool preview` takes one argument, and got 3.',
      '`holon pool preview --help` says how it is used.',
    ],
    [
      ['pool', 'preview', 'a', '--member', 'b'],
      '`holon pool preview` has no option "--member".',
      'Did you mean --members? `holon pool preview --help` says how it is used.',
    ],
    [
      ['run', 'tiny', '-x'],
      '`holon run` has no option "-x".',
      'A word that begins with a dash goes after `--`. `holon run --help` says how it is used.',
    ],
    [['run'], '`holon run` needs <model>, which is missing.', '`holon run --help` says how it is used.'],
    [
      ['run', 'tiny', '--tokens'],
      'The option "--tokens <n>" needs a value, which is missing.',
      '`holon run --help` says how it is used.',
    ],
    [
      ['run', 'tiny', '--tokens', 'many'],
      '--tokens is "many"; it must be a number.',
      '`holon run --help` says how it is used.',
    ],
    [
      ['show', 'it'],
      "Required option '--as <how>' not specified.",
      '`holon show --help` says how it is used.',
    ],
    [['rnu'], '`holon` has no command "rnu".', 'Did you mean run? `holon --help` lists the commands.'],
    [
      ['pool', 'previwe'],
      '`holon pool` has no command "previwe".',
      'Did you mean preview? `holon pool --help` lists the commands.',
    ],
  ])('%j', (words, message, hint) => {
    expect(refusal(...words)).toEqual([message, hint])
  })

  test('names all that are as near', () => {
    const holon = new HouseCommand('holon').exitOverride()
    holon.command('load')
    holon.command('lead')
    expect(() => holon.parse(['lxad'], { from: 'user' })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('Did you mean lead, load?') }),
    )
  })
})
