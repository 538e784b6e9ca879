import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import type { KeyAuditResponse, KeyInfo, KeyUsageResponse, RevokeKeyResponse } from '../../protocol/keys.ts'
import type { Printer } from '../printer.ts'
import type { Shell } from '../shell.ts'
import { formatWhen } from '../when.ts'
import { registerCreate } from './keys-create.ts'
import { limitsInWords, scopeInWords } from './keys-words.ts'

const when = (iso: string | null) => (iso === null ? '–' : formatWhen(iso))

export function registerKeys(program: Command, shell: Shell): void {
  const keys = program
    .command('keys')
    .enablePositionalOptions()
    .description('List the API keys of the hub, with what each may do and has used.')
    .option('--json', 'print one JSON document')
    .action(shell.action(async ({ printer, hub }) => list(printer, await hub().get('/fleet/v1/keys'))))
  registerCreate(keys, shell)
  keys
    .command('list')
    .description('The same as `holon keys`.')
    .option('--json', 'print one JSON document')
    .action(shell.action(async ({ printer, hub }) => list(printer, await hub().get('/fleet/v1/keys'))))
  keys
    .command('show <key>')
    .description('Show one key, by label or id. Nobody can show its secret again.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, key: string) => {
        const answer = await hub().get<{ keys: KeyInfo[] }>('/fleet/v1/keys')
        const found = answer.keys.filter(({ id, label }) => id === key || label === key)
        if (found.length === 0) {
          throw new HolonError('not_found', `There is no key "${key}".`, { hint: '`holon keys` lists them.' })
        }
        if (printer.json) printer.document(found.length === 1 ? found[0] : found)
        else for (const each of found) show(printer, each)
        return 0
      }),
    )
  registerRevoke(keys, shell)
  registerForget(keys, shell)
  registerUsage(keys, shell)
  registerAudit(keys, shell)
}

function list(printer: Printer, answer: { keys: KeyInfo[] }): number {
  if (printer.json) {
    printer.document(answer)
    return 0
  }
  if (answer.keys.length === 0) {
    printer.line('There is no key. Make one with `holon keys create LABEL`.')
    return 0
  }
  printer.table(
    ['label', 'id', 'key', 'state', 'may use', 'limits', 'tokens today', 'answering'],
    answer.keys.map((key) => [
      key.label,
      key.id,
      `${key.hint}…`,
      key.state === 'active' ? printer.good(key.state) : printer.faint(key.state),
      scopeInWords(key),
      limitsInWords(key.limits),
      String(key.tokensToday),
      String(key.underWay),
    ]),
  )
  return 0
}

function show(printer: Printer, key: KeyInfo): void {
  const rows = [
    ['label', key.label],
    ['id', key.id],
    ['key', `${key.hint}… (nobody can show the rest)`],
    ['state', key.state],
    ['may use', scopeInWords(key)],
    ['limits', limitsInWords(key.limits)],
    ['tokens', `${key.tokensToday} today, ${key.tokensThisMonth} this month (UTC)`],
    ['answering', `${key.underWay} now`],
    ['created', `${when(key.createdAt)} by ${key.createdBy}`],
    ['expires', key.expiresAt === null ? 'never' : when(key.expiresAt)],
  ]
  if (key.revokedAt !== null)
    rows.push(['revoked', `${when(key.revokedAt)} by ${key.revokedBy ?? 'unknown'}`])
  for (const [name = '', value = ''] of rows) printer.line(`${printer.faint(name.padEnd(10))} ${value}`)
}

function registerRevoke(keys: Command, shell: Shell): void {
  keys
    .command('revoke <key>')
    .description('Revoke a key, by label or id: at once, answers under way included, and for good.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, key: string) => {
        const answer = await hub().post<RevokeKeyResponse>('/fleet/v1/keys/revoke', { key })
        if (printer.json) printer.document(answer)
        else {
          const ended = answer.ended === 0 ? '' : ` ${answer.ended} of its answers under way were ended.`
          printer.line(`The key ${answer.info.label} is revoked.${ended}`)
        }
        return 0
      }),
    )
}

function registerForget(keys: Command, shell: Shell): void {
  keys
    .command('forget <key>')
    .description('Take a revoked or expired key out of the list. What it used stays in the books.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }, key: string) => {
        const client = hub()
        const info = await client.post<KeyInfo>('/fleet/v1/keys/forget', { key })
        if (printer.json) {
          printer.document(info)
          return 0
        }
        printer.line(`The key ${info.label} is forgotten.`)
        const left = await client.get<{ keys: KeyInfo[] }>('/fleet/v1/keys')
        if (left.keys.length === 0) {
          printer.note(
            'It was the last one: unless HOLON_API_KEY is set, this hub answers whoever reaches this machine from itself, without a key.',
          )
        }
        return 0
      }),
    )
}

function registerUsage(keys: Command, shell: Shell): void {
  keys
    .command('usage')
    .description('Count requests, errors and tokens per key, since the books began.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const answer = await hub().get<KeyUsageResponse>('/fleet/v1/keys/usage')
        if (printer.json) {
          printer.document(answer)
          return 0
        }
        if (answer.usage.length === 0) {
          printer.line('Nothing was asked yet.')
          return 0
        }
        printer.table(
          ['key', 'requests', 'errors', 'tokens read', 'tokens generated', 'last used'],
          answer.usage.map((row) => [
            row.label ?? row.keyId ?? 'the owner',
            String(row.requests),
            String(row.errors),
            String(row.promptTokens),
            String(row.completionTokens),
            when(row.lastUsedAt),
          ]),
        )
        return 0
      }),
    )
}

function registerAudit(keys: Command, shell: Shell): void {
  keys
    .command('audit')
    .description('Say who made, revoked and forgot which key, newest first.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async ({ printer, hub }) => {
        const answer = await hub().get<KeyAuditResponse>('/fleet/v1/keys/audit')
        if (printer.json) {
          printer.document(answer)
          return 0
        }
        if (answer.entries.length === 0) {
          printer.line('No key has been made, revoked or forgotten yet.')
          return 0
        }
        printer.table(
          ['time', 'what', 'key', 'by', ''],
          answer.entries.map(({ timeMs, action, key, actor, detail }) => [
            formatWhen(timeMs),
            action,
            key ?? '–',
            actor,
            detail,
          ]),
        )
        return 0
      }),
    )
}
