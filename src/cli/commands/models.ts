import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import type { CatalogueModel, CatalogueResponse, CatalogueVariant } from '../../protocol/catalogue.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { Printer } from '../printer.ts'
import type { Cli, Shell } from '../shell.ts'
import { readLanes, registerWhere, tellWhere } from './models-where.ts'

/** `holon models`: what can be asked for, grouped, and the owner's choice of what is offered. */
export function registerModels(program: Command, shell: Shell): void {
  const models = program
    .command('models')
    .description('List the models that can be asked for, with their variants and where they are.')
    .option('--json', 'print one JSON document')
    .action(shell.action(listModels))
  models
    .command('offer')
    .argument('<model>', 'a canonical name (all its variants), or an id as a node advertises it')
    .option('--lane <lane>', 'have it serve this lane alone, in an open catalogue too (a,b for several)')
    .description('Put a model on the list of a curated catalogue, or offer it to a lane.')
    .option('--json', 'print one JSON document')
    .action(
      shell.action((cli, model: string, { lane }: { lane?: string }) =>
        lane === undefined ? change(cli, 'offer', { model }) : offerTo(cli, model, lane),
      ),
    )
  models
    .command('withdraw')
    .argument('<model>', 'a canonical name or an id on the list')
    .description('Take a model off the list; answers under way end undisturbed.')
    .option('--json', 'print one JSON document')
    .action(shell.action((cli, model: string) => change(cli, 'withdraw', { model })))
  models
    .command('catalogue')
    .argument('[mode]', '`open` offers whatever the nodes advertise, `curated` only what is on the list')
    .description('Show what is on the list, or switch between an open and a curated catalogue.')
    .option('--json', 'print one JSON document')
    .action(shell.action(catalogue))
  registerWhere(models, shell)
}

/** In a curated catalogue it is put on the list first; in an open one it is offered as it is. */
async function offerTo(cli: Cli, model: string, lane: string): Promise<number> {
  const client = cli.hub()
  const lanes = readLanes([lane])
  const { mode } = await client.get<CatalogueResponse>('/fleet/v1/catalogue')
  if (mode === 'curated') await client.post('/fleet/v1/catalogue/offer', { model })
  tell(cli.printer, await client.post<CatalogueResponse>('/fleet/v1/catalogue/lanes', { model, lanes }))
  return 0
}

async function listModels({ printer, hub }: Cli): Promise<number> {
  const client = hub()
  const answer = await client.get<{ models: NodeModel[] }>('/fleet/v1/models')
  const catalogue = await client.get<CatalogueResponse>('/fleet/v1/catalogue')
  if (printer.json) {
    printer.document({ ...answer, catalogue })
    return 0
  }
  const params = new Map(answer.models.map((model) => [model.id, model.paramsTotal]))
  printer.table(
    ['model', 'state', 'quant', 'size', 'context', 'parameters', 'ask for', 'nodes'],
    catalogue.models.flatMap((model) => rowsOf(model, catalogue.mode, params)),
  )
  for (const model of answer.models) {
    const trouble = model.problem ?? model.failure
    if (trouble) printer.warn(`${model.id}: ${trouble}`)
  }
  if (catalogue.mode === 'curated') tellMissing(printer, catalogue)
  return 0
}

/** The canonical name stands on its first row; the rows under it are its variants, the best first. */
function rowsOf(
  { name, variants }: CatalogueModel,
  mode: CatalogueResponse['mode'],
  params: ReadonlyMap<string, number | null>,
): string[][] {
  return variants.map((variant, index) => [
    index === 0 ? name : '',
    stateOf(variant, mode),
    variant.quant ?? '–',
    // An attached engine does not always say.
    variant.sizeBytes === 0 ? '–' : formatBytes(variant.sizeBytes),
    variant.contextMax === null ? '–' : String(variant.contextMax),
    formatParams(params.get(variant.id) ?? null),
    variant.demo ? `${variant.id} (demonstration)` : withEngine(variant),
    variant.nodes.join(', '),
  ])
}

/** A model of an engine that was already there is listed with it. */
function withEngine({ id, engine }: CatalogueVariant): string {
  return engine === undefined ? id : `${id} (${engine})`
}

function stateOf(variant: CatalogueVariant, mode: CatalogueResponse['mode']): string {
  return mode === 'curated' && !variant.offered ? 'not offered' : variant.state
}

function tellMissing(printer: Printer, { offers }: CatalogueResponse): void {
  const missing = offers.filter((offer) => !offer.advertised).map((offer) => offer.name)
  if (missing.length > 0) printer.note(`Offered, but on no node now: ${missing.join(', ')}.`)
}

async function catalogue({ printer, hub }: Cli, mode?: string): Promise<number> {
  if (mode !== undefined && mode !== 'open' && mode !== 'curated') {
    throw new HolonError('usage', `"${mode}" is no kind of catalogue.`, { hint: 'Say `open` or `curated`.' })
  }
  const answer =
    mode === undefined
      ? await hub().get<CatalogueResponse>('/fleet/v1/catalogue')
      : await hub().post<CatalogueResponse>('/fleet/v1/catalogue/mode', { mode })
  tell(printer, answer)
  return 0
}

async function change(
  { printer, hub }: Cli,
  what: 'offer' | 'withdraw',
  body: { model: string },
): Promise<number> {
  tell(printer, await hub().post<CatalogueResponse>(`/fleet/v1/catalogue/${what}`, body))
  return 0
}

function tell(printer: Printer, answer: CatalogueResponse): void {
  if (printer.json) {
    printer.document(answer)
    return
  }
  if (answer.mode === 'open') {
    printer.line('The catalogue is open: whatever the nodes advertise is offered.')
    tellWhere(printer, answer)
    return
  }
  printer.line(`The catalogue is curated; ${answer.offers.length} offered.`)
  printer.table(
    ['offered', 'what', 'on a node now'],
    answer.offers.map((offer) => [
      offer.name,
      offer.kind === 'model' ? 'all variants' : 'this one',
      offer.advertised ? 'yes' : 'no',
    ]),
  )
  tellWhere(printer, answer)
}

function formatParams(count: number | null): string {
  if (count === null) return '–'
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} B` : `${(count / 1e6).toFixed(1)} M`
}
