/** /fleet/v1/catalogue: what is offered, and the owner's changes to it. */
import type { z } from 'zod'
import {
  type CatalogueResponse,
  catalogueModeRequest,
  catalogueResponse,
  offerRequest,
} from '../../protocol/catalogue.ts'
import type { Operation } from '../api/operations.ts'
import type { Catalogue } from './catalogue.ts'
import { groupModels } from './list-models.ts'

/** Each answers with the whole catalogue as it is afterwards. */
export function catalogueOperations(catalogue: Catalogue): Operation[] {
  const tell = () => describeCatalogue(catalogue)
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
  ]
}

export function describeCatalogue(catalogue: Catalogue): CatalogueResponse {
  const models = groupModels(catalogue, catalogue.states())
  const names = new Set(models.map((model) => model.name))
  const ids = new Set(models.flatMap((model) => model.variants.map((variant) => variant.id)))
  return {
    mode: catalogue.mode,
    models,
    offers: catalogue.offers.map((offer) => ({
      ...offer,
      advertised: (offer.kind === 'model' ? names : ids).has(offer.name),
    })),
  }
}
