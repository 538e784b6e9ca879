import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { poolEngineIds } from '../../protocol/pool.ts'
import type { PoolView } from '../../protocol/pools.ts'
import { type Cli, type Shell, wholeNumber } from '../shell.ts'
import { registerPoolLinks } from './pool-links.ts'
import { engineOf, namesOf } from './pool-names.ts'
import { registerPoolPreview } from './pool-preview.ts'

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
      '--accept-isolated-link <node:interface...>',
      'a cable that leads to no one but the members: the engine listens there itself, unencrypted',
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
  printer.table(
    ['pool', 'model', 'answers', 'members', 'engine', 'tok/s', ''],
    answer.pools.map((pool) => [
      pool.name,
      pool.model,
      serviceWords(pool),
      pool.members.map(({ node, state }) => (state === 'in' ? node : `(${node})`)).join(' '),
      pool.engine,
      speedOf(pool.service === 'solo' ? pool.solo : pool.pooled),
      pool.reason ?? '',
    ]),
  )
  return 0
}

const phaseWords: Record<PoolView['phase'], string> = {
  resting: 'waiting',
  checking: 'looking at the members',
  opening: 'opening the wire between the members',
  starting: 'starting the members',
  ready: 'serving',
  draining: 'letting answers end',
  stopping: 'ending the last group',
}

function serviceWords(pool: PoolView): string {
  if (pool.service === 'group') return 'pooled'
  if (pool.service === 'solo') return `${pool.servedBy} alone`
  if (pool.service === 'fallback') return `fallback ${pool.fallback} on ${pool.servedBy}`
  return pool.phase === 'resting' ? 'nobody' : phaseWords[pool.phase]
}

const speedOf = ({ measuredTokS, predictedTokS }: PoolView['pooled']): string =>
  measuredTokS !== null
    ? measuredTokS.toFixed(1)
    : predictedTokS !== null
      ? `~${predictedTokS.toFixed(1)}`
      : '–'

const bytesOf = (bytes: number | null): string => (bytes === null ? '–' : formatBytes(bytes))

function tell({ printer }: Cli, pool: PoolView): void {
  if (printer.json) {
    printer.document(pool)
    return
  }
  const good = pool.service === 'group' || pool.service === 'solo'
  printer.line(
    `${printer.strong(pool.name)} serves ${pool.model} with ${pool.engine}: ${good ? printer.good(serviceWords(pool)) : printer.bad(serviceWords(pool))}`,
  )
  if (pool.reason !== null) printer.line(`  ${pool.reason}`)
  if (pool.nextTryMs !== null) printer.line(`  Next try at ${new Date(pool.nextTryMs).toLocaleTimeString()}.`)
  printer.line()
  printer.table(
    ['rank', 'member', 'state', 'layers', 'planned', 'in memory', 'wire', ''],
    [...pool.members]
      .sort((a, b) => (a.rank ?? 99) - (b.rank ?? 99))
      .map((member) => [
        member.rank === null ? '–' : member.rank === 0 ? '0 (head)' : String(member.rank),
        member.node,
        member.state,
        member.layers === null ? '–' : String(member.layers),
        bytesOf(member.plannedBytes),
        bytesOf(member.memoryBytes),
        member.wire ?? '–',
        [
          member.why,
          member.untilMs === null ? null : `until ${new Date(member.untilMs).toLocaleTimeString()}`,
        ]
          .filter((text) => text !== null)
          .join(' '),
      ]),
  )
  printer.line()
  printer.line(`pooled  ${speedText(pool.pooled)}`)
  if (pool.solo.node !== null) printer.line(`solo    ${speedText(pool.solo)} on ${pool.solo.node}`)
  printer.line(pool.choice)
}

function speedText({ measuredTokS, predictedTokS }: PoolView['pooled']): string {
  const expected =
    predictedTokS === null ? 'nothing expected yet' : `${predictedTokS.toFixed(1)} tok/s expected`
  return measuredTokS === null
    ? `${expected}, not measured yet`
    : `${measuredTokS.toFixed(1)} tok/s measured, ${expected}`
}

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
        else if (verb === 'remove') cli.printer.line(`${name} was removed; its members are free.`)
        else cli.printer.line(`${name} is tried again now; \`holon pool show ${name}\` says how far it is.`)
        return 0
      }),
    )
}
