/** /fleet/v1/catalogue: what is offered, and the owner's changes to it. */
import type { z } from 'zod'
import {
  type CatalogueResponse,
  catalogueModeRequest,
  catalogueResponse,
  lanesRequest,
  offerRequest,
  pinRequest,
  unpinRequest,
} from '../../protocol/catalogue.ts'
import { laneName } from '../../protocol/lane.ts'
import type { Operation } from '../api/operations.ts'
import { type AdmittedNames, awayNodes, idOf } from './away-nodes.ts'
import type { Catalogue } from './catalogue.ts'
import { groupModels } from './list-models.ts'

/** Each answers with the whole catalogue as it is afterwards. */
export function catalogueOperations(catalogue: Catalogue, admitted: AdmittedNames): Operation[] {
  const tell = async () => describeCatalogue(catalogue, await awayNodes(catalogue, admitted))
  const idsOf = async (asked: readonly string[] = []): Promise<string[]> => {
    const away = await awayNodes(catalogue, admitted)
    return asked.map((node) => idOf(node, catalogue, away))
  }
  const change = <Body>(
    path: string,
    summary: string,
    request: z.ZodType<Body>,
    run: (body: Body) => Promise<unknown>,
  ): Operation => ({
    method: 'post',
    path,
    summary,
    request,
    response: catalogueResponse,
    run: async (body) => {
      await run(body as Body)
      return tell()
    },
  })
  return [
    {
      method: 'get',
      path: '/fleet/v1/catalogue',
      summary: 'What is offered, each model once with its variants.',
      request: null,
      response: catalogueResponse,
      run: async () => tell(),
    },
    change(
      '/fleet/v1/catalogue/mode',
      'Opens the catalogue, or has it curated.',
      catalogueModeRequest,
      (body) => catalogue.setMode(body.mode),
    ),
    change(
      '/fleet/v1/catalogue/offer',
      'Puts a model on the list of a curated catalogue.',
      offerRequest,
      (body) => catalogue.offer(body.model),
    ),
    change('/fleet/v1/catalogue/withdraw', 'Takes a model off the list.', offerRequest, (body) =>
      catalogue.withdraw(body.model),
    ),
    change(
      '/fleet/v1/catalogue/pin',
      'Pins a model to nodes, away from some, or in the background on others.',
      pinRequest,
      async ({ model, to, away, background }) =>
        catalogue.owner.pin(model, {
          to: await idsOf(to),
          away: await idsOf(away),
          background: await idsOf(background),
        }),
    ),
    change(
      '/fleet/v1/catalogue/unpin',
      'Takes pins of a model back.',
      unpinRequest,
      async ({ model, node }) => {
        const [id] = node === undefined ? [] : await idsOf([node])
        await catalogue.owner.unpin(model, id)
      },
    ),
    change(
      '/fleet/v1/catalogue/lanes',
      'Has a model or a node serve these lanes alone.',
      lanesRequest,
      async ({ lanes, ...what }) => {
        const [node] = 'node' in what ? await idsOf([what.node]) : []
        await catalogue.owner.offerTo(node === undefined ? what : { node }, lanes)
      },
    ),
  ]
}

/** @param away names of nodes that are not here */
function describeCatalogue(catalogue: Catalogue, away: ReadonlyMap<string, string>): CatalogueResponse {
  const models = groupModels(catalogue)
  const names = new Set(models.map((model) => model.name))
  const ids = new Set(models.flatMap((model) => model.variants.map((variant) => variant.id)))
  return {
    mode: catalogue.mode,
    models,
    offers: catalogue.offers.map((offer) => ({
      ...offer,
      advertised: (offer.kind === 'model' ? names : ids).has(offer.name),
    })),
    ...describeRules(catalogue, away),
  }
}

function describeRules(
  { rules, index }: Catalogue,
  away: ReadonlyMap<string, string>,
): Pick<CatalogueResponse, 'pins' | 'lanes'> {
  const pins = new Map<string, CatalogueResponse['pins'][number]>()
  const served = new Map<string, CatalogueResponse['lanes'][number]>()
  const nodeName = (id: string) => index.find(id)?.handle.name ?? away.get(id) ?? id
  for (const { kind, subject, object } of rules) {
    if (kind === 'model-lane' || kind === 'node-lane') {
      const of = kind === 'model-lane' ? 'model' : 'node'
      const name = of === 'node' ? nodeName(subject) : subject
      const entry = served.get(`${of} ${subject}`) ?? { kind: of, name, lanes: [] }
      served.set(`${of} ${subject}`, entry)
      entry.lanes.push(laneName.parse(object))
    } else {
      const pin = pins.get(subject) ?? { model: subject, to: [], away: [], background: [] }
      pins.set(subject, pin)
      pin[kind].push(nodeName(object))
    }
  }
  return { pins: [...pins.values()], lanes: [...served.values()] }
}
