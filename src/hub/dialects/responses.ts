/** The door of OpenAI's Responses. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { HolonError, toEnvelope } from '../../core/errors.ts'
import { isObject } from '../../protocol/openai/checks.ts'
import { type ResponsesRequest, ResponsesTeller, readRequest } from '../../protocol/responses/index.ts'
import { countTokens } from './count-tokens.ts'
import type { DialectExchange, Manners } from './dialect-exchange.ts'
import { ResponseStore } from './response-store.ts'
import { answerIn, type DialectDeps, type DialectRoute } from './route.ts'

const manners: Manners = { failure: toEnvelope, idHeader: null }

export function responsesRoutes(deps: DialectDeps): DialectRoute[] {
  const { core, clock } = deps
  const store = new ResponseStore()
  const both = (
    name: string,
    method: DialectRoute['method'],
    path: string,
    run: DialectRoute['run'],
  ): DialectRoute[] => {
    // A base URL is accepted with and without /v1, as on the rest of OpenAI's surface.
    return ['/v1', ''].map((base) => {
      const full = `${base}/responses${path}`
      const known = path.includes('(') ? new RegExp(`^${full}$`) : full
      return { name, method, path: known, manners, run }
    })
  }
  const send = (exchange: DialectExchange, body: object) => exchange.sendJson(200, JSON.stringify(body))
  return [
    ...both('responses', 'POST', '', async (exchange, body) => {
      const owner = ownerOf(exchange.req)
      const asked = readWith(store, owner, body)
      const createdS = Math.floor(clock.now() / 1000)
      const teller = new ResponsesTeller(asked, createdS, (response, output) => {
        if (!asked.store) return
        const { id } = response as { id: string }
        const previous = asked.echo.previous_response_id as string | null
        store.keep({ id, owner, response, input: asked.input, output, previous })
      })
      await answerIn(core, exchange, asked.translated, teller)
    }),
    ...both('response_tokens', 'POST', '/input_tokens', async (exchange, body) => {
      const { translated } = readWith(store, ownerOf(exchange.req), body)
      const input_tokens = await countTokens(core, exchange, translated)
      send(exchange, { object: 'response.input_tokens', input_tokens })
    }),
    ...both('response', 'GET', '/([^/]+)', async (exchange, _, id = '') => {
      if (/[?&]stream=true/.test(exchange.req.url ?? '')) {
        throw new HolonError('not_supported', 'A stream that ended cannot be streamed again.', {
          param: 'stream',
        })
      }
      send(exchange, store.get(ownerOf(exchange.req), id).response)
    }),
    ...both('response', 'DELETE', '/([^/]+)', async (exchange, _, id = '') => {
      store.remove(ownerOf(exchange.req), id)
      send(exchange, { id, object: 'response', deleted: true })
    }),
    ...both('response_items', 'GET', '/([^/]+)/input_items', async (exchange, _, id = '') => {
      const data = [...store.get(ownerOf(exchange.req), id).input].reverse()
      send(exchange, { object: 'list', data, first_id: null, last_id: null, has_more: false })
    }),
    ...both('response', 'POST', '/([^/]+)/cancel', async () => {
      throw new HolonError(
        'not_supported',
        'Only answers in the background could be cancelled; none run here.',
        {
          hint: 'Close the connection to cancel an answer.',
        },
      )
    }),
  ]
}

function readWith(store: ResponseStore, owner: string, body: unknown): ResponsesRequest {
  const previous = isObject(body) ? body.previous_response_id : null
  if (previous != null && typeof previous !== 'string') {
    throw new HolonError('invalid_parameter', 'previous_response_id must be a string.', {
      param: 'previous_response_id',
    })
  }
  return readRequest(body, {
    history: previous ? store.history(owner, previous) : [],
    find: (id) => store.item(owner, id),
  })
}

/** Who asks, by the key: what one key's caller said is not another's to read. */
function ownerOf(req: IncomingMessage): string {
  const { authorization, 'x-api-key': key } = req.headers
  return createHash('sha256')
    .update(`${authorization ?? ''}\n${String(key ?? '')}`)
    .digest('base64')
}
