import { type Command, InvalidArgumentError } from 'commander'
import type { CreateKeyResponse } from '../../protocol/keys.ts'
import { lanes } from '../../protocol/lane.ts'
import { type Shell, wholeNumber } from '../shell.ts'
import { formatWhen } from '../when.ts'
import { limitsInWords, scopeInWords } from './keys-words.ts'

interface CreateOptions {
  models?: string
  lanes?: string
  admin?: boolean
  expires?: number
  requestsPerMinute?: number
  tokensPerMinute?: number
  tokensPerDay?: number
  tokensPerMonth?: number
  concurrency?: number
}

const most = 1e15
const limit = (name: string) => wholeNumber(name, 1, most)

export function registerCreate(keys: Command, shell: Shell): void {
  keys
    .command('create <label>')
    .description(
      'Make an API key and show it, this once. Without options it may use every model, without limits.',
    )
    .option('--models <names>', 'only these models: names or patterns with *, separated by commas')
    .option('--lanes <names>', `only these lanes, of ${lanes.join(', ')}`)
    .option('--admin', 'let it manage the hub as well')
    .option('--expires <span>', 'good for so long: 45m, 12h, 30d', span)
    .option('--requests-per-minute <n>', 'requests it may send in a minute', limit('--requests-per-minute'))
    .option(
      '--tokens-per-minute <n>',
      'tokens, read and generated, in a minute',
      limit('--tokens-per-minute'),
    )
    .option('--tokens-per-day <n>', 'tokens in a day (UTC)', limit('--tokens-per-day'))
    .option('--tokens-per-month <n>', 'tokens in a month (UTC)', limit('--tokens-per-month'))
    .option('--concurrency <n>', 'answers under way at once', limit('--concurrency'))
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, label: string, options: CreateOptions) => {
        const client = hub()
        const { models, lanes, admin, expires, ...limits } = options
        const made = await client.post<CreateKeyResponse>('/fleet/v1/keys', {
          label,
          models: listOf(models) ?? null,
          lanes: listOf(lanes),
          admin: admin === true,
          expiresInS: expires ?? null,
          limits: {
            requestsPerMinute: limits.requestsPerMinute,
            tokensPerMinute: limits.tokensPerMinute,
            tokensPerDay: limits.tokensPerDay,
            tokensPerMonth: limits.tokensPerMonth,
            concurrency: limits.concurrency,
          },
        })
        if (printer.json) {
          printer.document(made)
          return 0
        }
        const { info } = made
        const until = info.expiresAt === null ? '' : ` until ${formatWhen(info.expiresAt)}`
        printer.line(made.key)
        printer.note(
          `\nKeep it now: nobody can show it again. It may use ${scopeInWords(info)}${until}; limits: ${limitsInWords(info.limits)}.`,
        )
        printer.note(`Clients send it as their API key to ${client.url}/v1.`)
        for (const warning of made.warnings) printer.warn(warning)
        return 0
      }),
    )
}

function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

const unitS: Record<string, number> = { m: 60, h: 3_600, d: 86_400 }

/** @returns seconds @throws InvalidArgumentError */
function span(text: string): number {
  const [, amount, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  const seconds = Number(amount) * (unitS[unit ?? ''] ?? Number.NaN)
  if (seconds >= 60) return seconds
  throw new InvalidArgumentError(`"${text}" is no span such as 45m, 12h or 30d.`)
}
