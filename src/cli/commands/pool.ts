import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { poolEngineIds } from '../../protocol/pool.ts'
import type { PoolView } from '../../protocol/pools.ts'
import { type Cli, type Shell, wholeNumber } from '../shell.ts'
import { registerPoolLinks } from './pool-links.ts'
import { engineOf, namesOf } from './pool-names.ts'
import { registerPoolPreview } from './pool-preview.ts'
import { phaseWords, printPool, printPools } from './pool-print.ts'

interface CreateFlags {
  model: string
  nodes: string
  engine?: string
  context?: number
  parallel?: number
  fallback?: string
  acceptIsolatedLink?: string[]
  wait?: boolean
}

/** `holon pool`: several machines that serve one model as one. */
export function registerPool(program: Command, shell: Shell): void {
  const pool = program
    .command('pool')
    .enablePositionalOptions()
    .description('Make several machines one node that serves one model.')
  registerPoolPreview(pool, shell)
  pool
    .command('create')
    .description('Make a pool; it is refused before anything starts when its machines will not do.')
    .argument('<name>', 'name of the pool')
    .requiredOption('--model <model>', 'model it serves')
    .requiredOption('--nodes <a,b>', 'machines, by name, separated by commas')
    .option('--engine <id>', `${poolEngineIds.join(', ')}; the fastest that fits when left out`)
    .option('--context <tokens>', 'tokens of context to hold', wholeNumber('--context', 64, 16_777_216))
    .option('--parallel <n>', 'answers at once', wholeNumber('--parallel', 1, 256))
    .option('--fallback <model>', 'model that answers while the pool cannot')
    .option(
      '--accept-isolated-link <end...>',
      'NODE:INTERFACE, for the end of each member: a cable that leads to no one else, on which the engine listens itself, unencrypted',
    )
    .option('--wait', 'wait until it serves')
    .option('--json', 'print one JSON document')
    .action(shell.action(createPool))
  pool
    .command('list')
    .description('List the pools.')
    .option('--json', 'print one JSON document')
    .action(shell.action(listPools))
  pool
    .command('show')
    .description('Show a pool: who answers, its members, memory, speed, and why it runs as it does.')
    .argument('<name>', 'name of the pool')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, name: string) => {
        tell(cli, await findPool(cli, name))
        return 0
      }),
    )
  registerOrder(pool, shell, 'retry', 'Try again now, with members that were left out too.')
  registerOrder(pool, shell, 'remove', 'End a pool, after the answers under way, and free its members.')
  registerPoolLinks(pool, shell)
}

async function createPool(cli: Cli, name: string, flags: CreateFlags): Promise<number> {
  const view = await cli.hub().post<PoolView>('/fleet/v1/pools', {
    name,
    model: flags.model,
    nodes: namesOf(flags.nodes),
    engine: engineOf(flags.engine),
    contextTokens: flags.context,
    parallel: flags.parallel,
    fallback: flags.fallback,
    isolatedLinks: flags.acceptIsolatedLink,
  })
  if (!flags.wait) {
    if (cli.printer.json) cli.printer.document(view)
    else
      cli.printer.line(
        `The pool ${name} is being formed on ${view.members.map(({ node }) => node).join(', ')}; \`holon pool show ${name}\` says how far it is.`,
      )
    return 0
  }
  const ready = await untilServed(cli, name)
  tell(cli, ready)
  return ready.service === 'group' || ready.service === 'solo' ? 0 : 1
}

const lookEveryMs = 300
/** A launch that failed is tried again by the hub; whoever waits is told after so many. */
const failuresToWaitFor = 3

/** One bar for the whole group. Ends when it serves, or when it has failed a few times. */
async function untilServed(cli: Cli, name: string): Promise<PoolView> {
  const progress = cli.printer.progress(`Forming ${name}`)
  let reason: string | null = null
  let failures = 0
  try {
    for (;;) {
      const view = await findPool(cli, name)
      if (view.service === 'group' || view.service === 'solo') return view
      if (view.phase === 'resting' && view.reason !== null) {
        if (reason !== `${view.reason}${view.nextTryMs}`) failures++
        reason = `${view.reason}${view.nextTryMs}`
        if (failures >= failuresToWaitFor || view.nextTryMs === null) return view
      }
      const { percent = null, phase = phaseWords[view.phase] } = view.progress ?? {}
      progress.update(percent === null ? null : percent / 100, phase)
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
  } finally {
    progress.stop()
  }
}

async function findPool(cli: Cli, name: string): Promise<PoolView> {
  const { pools } = await cli.hub().get<{ pools: PoolView[] }>('/fleet/v1/pools')
  const found = pools.find((pool) => pool.name === name)
  if (found) return found
  const names = pools.map((pool) => pool.name).join(', ')
  throw new HolonError('pool_not_found', `There is no pool called ${name}.`, {
    hint: names === '' ? 'There is no pool yet: `holon pool create`.' : `The pools are ${names}.`,
  })
}

async function listPools(cli: Cli): Promise<number> {
  const answer = await cli.hub().get<{ pools: PoolView[] }>('/fleet/v1/pools')
  const { printer } = cli
  if (printer.json) {
    printer.document(answer)
    return 0
  }
  if (answer.pools.length === 0) {
    printer.line('There is no pool. `holon pool preview MODEL` says what one would do.')
    return 0
  }
  printPools(printer, answer.pools)
  return 0
}

function tell({ printer }: Cli, pool: PoolView): void {
  if (printer.json) printer.document(pool)
  else printPool(printer, pool, Date.now())
}

const allServe = ({ service, members }: PoolView): boolean =>
  service === 'group' && members.every(({ state }) => state === 'in')

function registerOrder(pool: Command, shell: Shell, verb: 'retry' | 'remove', what: string): void {
  pool
    .command(verb)
    .description(what)
    .argument('<name>', 'name of the pool')
    .option('--json', 'print one JSON document')
    .action(
      shell.action(async (cli, name: string) => {
        const answer = await cli.hub().post<PoolView | { name: string }>(`/fleet/v1/pools/${verb}`, { name })
        if (cli.printer.json) cli.printer.document(answer)
        else if (!('phase' in answer)) cli.printer.line(`${name} was removed; its members are free.`)
        else if (allServe(answer))
          cli.printer.line(`${name} serves with all its members: there is nothing to try.`)
        else cli.printer.line(`${name} is tried again now; \`holon pool show ${name}\` says how far it is.`)
        return 0
      }),
    )
}
