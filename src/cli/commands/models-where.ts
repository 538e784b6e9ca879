import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import type { CatalogueResponse } from '../../protocol/catalogue.ts'
import { type Lane, lanes } from '../../protocol/lane.ts'
import type { Printer } from '../printer.ts'
import type { Cli, Shell } from '../shell.ts'

/** `holon models pin`, `unpin`, `lanes`: where models run, and which lanes models and nodes serve. */
export function registerWhere(models: Command, shell: Shell): void {
  const several = (value: string, before: string[] = []): string[] => [...before, ...value.split(',')]
  models
    .command('pin')
    .argument('<model>', 'a canonical name (all its variants), or an id as a node advertises it')
    .description('Have a model run on some nodes, not on others, or in the background.')
    .option('--to <node>', 'run it on this node and others named so, nowhere else (repeat, or a,b)', several)
    .option('--away <node>', 'do not run it there', several)
    .option('--background <node>', 'let this node serve only when no other does, or those are busy', several)
    .option('--json', 'print one JSON document')
    .action(shell.action(pin))
  models
    .command('unpin')
    .argument('<model>', 'as it was pinned')
    .option('--node <node>', 'take only the pin on this node back')
    .description('Take the pins of a model back.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action((cli, model: string, { node }: { node?: string }) => send(cli, 'unpin', { model, node })),
    )
  models
    .command('lanes')
    .argument('<name>', 'a model, or with --node a node')
    .argument('<lane...>', `the lanes it serves and no others: ${lanes.join(', ')}, or all`)
    .option('--node', 'the name is a node’s')
    .description('Choose the lanes that a model or a node serves.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action((cli, name: string, named: string[], { node }: { node?: boolean }) =>
        send(cli, 'lanes', { ...(node ? { node: name } : { model: name }), lanes: readLanes(named) }),
      ),
    )
}

interface PinOptions {
  to?: string[]
  away?: string[]
  background?: string[]
}

function pin(cli: Cli, model: string, { to, away, background }: PinOptions): Promise<number> {
  if (!to && !away && !background) {
    throw new HolonError('usage', 'A pin names at least one node.', {
      hint: 'Say where: `--to NODE`, `--away NODE` or `--background NODE`. `holon nodes` lists them.',
    })
  }
  return send(cli, 'pin', { model, to, away, background })
}

/** @throws HolonError usage */
export function readLanes(named: readonly string[]): Lane[] {
  if (named.includes('all')) return [...lanes]
  return named
    .flatMap((text) => text.split(','))
    .map((text) => {
      const lane = lanes.find((known) => known === text.trim().toLowerCase())
      if (lane !== undefined) return lane
      throw new HolonError('usage', `There is no lane "${text}".`, {
        hint: `The lanes are ${lanes.join(', ')}.`,
      })
    })
}

async function send({ printer, hub }: Cli, what: string, body: object): Promise<number> {
  const answer = await hub().post<CatalogueResponse>(`/fleet/v1/catalogue/${what}`, body)
  if (printer.json) printer.document(answer)
  else if (answer.pins.length + answer.lanes.length === 0) {
    printer.line('Nothing is pinned, and everything serves all lanes.')
  } else tellWhere(printer, answer)
  return 0
}

/** Pins and lanes, for `holon models catalogue` too. */
export function tellWhere(printer: Printer, { pins, lanes: served }: CatalogueResponse): void {
  const list = (names: readonly string[]) => names.join(', ') || '–'
  if (pins.length > 0) {
    printer.table(
      ['pinned', 'to', 'away from', 'in the background on'],
      pins.map(({ model, to, away, background }) => [model, list(to), list(away), list(background)]),
    )
  }
  if (served.length > 0) {
    printer.table(
      ['serves only', 'what', 'lanes'],
      served.map(({ kind, name, lanes: own }) => [name, kind, own.join(', ')]),
    )
  }
}
