/** Anthropic's door: messages, count_tokens, and the models as its clients list them. */
import { AnthropicTeller, errorBody, readRequest } from '../../protocol/anthropic/index.ts'
import { describeModel, listModels, type ModelRow, type View } from '../catalogue/list-models.ts'
import { countTokens } from './count-tokens.ts'
import type { Manners } from './dialect-exchange.ts'
import { answerIn, type DialectDeps, type DialectRoute, viewOf } from './route.ts'

const manners: Manners = { failure: errorBody, idHeader: 'request-id' }

export function anthropicRoutes(deps: DialectDeps): DialectRoute[] {
  const { core } = deps
  const createdS = Math.floor(deps.clock.now() / 1000)
  const post = (name: string, path: string, run: DialectRoute['run']): DialectRoute => {
    return { name, method: 'POST', path, manners, run }
  }
  // The same path lists the models to OpenAI's clients; Anthropic's always name their API's version.
  const list = (path: string | RegExp, tell: (view: View, id: string) => object): DialectRoute => ({
    name: 'anthropic_models',
    method: 'GET',
    path,
    manners,
    when: (req) => req.headers['anthropic-version'] !== undefined,
    run: async (exchange, _, id = '') => exchange.sendJson(200, JSON.stringify(tell(viewOf(exchange), id))),
  })
  return [
    post('messages', '/v1/messages', async (exchange, body) => {
      const asked = readRequest(body)
      await answerIn(core, exchange, asked.translated, new AnthropicTeller(asked, exchange.id))
    }),
    post('count_tokens', '/v1/messages/count_tokens', async (exchange, body) => {
      const { translated } = readRequest(body, 'count')
      const tokens = await countTokens(core, exchange, translated)
      exchange.sendJson(200, JSON.stringify({ input_tokens: tokens }))
    }),
    list('/v1/models', (view) => {
      const data = listModels(deps.catalogue, createdS, view).map(toRow)
      return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
    }),
    list(/^\/v1\/models\/(.+)$/, (view, id) => toRow(describeModel(deps.catalogue, createdS, id, view))),
  ]
}

function toRow(model: ModelRow) {
  return {
    type: 'model',
    id: model.id,
    display_name: model.id,
    created_at: new Date(model.created * 1000).toISOString(),
  }
}
