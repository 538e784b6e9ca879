import { embeddingParameters } from '../parameters.ts'
import { type Body, badParameter, refuseUnknown, stringAt } from './fields.ts'
import { type Exchange, sendJson } from './http.ts'
import type { LoadedModel } from './load.ts'
import { isToken } from './routes-completions.ts'

const maxInputs = 2048

/** POST /v1/embeddings. `dimensions` is refused by name: cutting a vector is right only for models made for it. */
export function embeddingRoute(loaded: LoadedModel): (exchange: Exchange) => Promise<void> {
  return async ({ body, response, signal }) => {
    refuseUnknown(body, embeddingParameters)
    const format = stringAt(body, 'encoding_format') ?? 'float'
    if (format !== 'float' && format !== 'base64') {
      throw badParameter('encoding_format', `encoding_format must be "float" or "base64", not "${format}".`)
    }
    const inputs = readInputs(loaded, body)
    const data: object[] = []
    for (const [index, tokens] of inputs.entries()) {
      const vector = await loaded.embedder.embed(tokens, signal)
      const embedding = format === 'float' ? Array.from(vector) : base64(vector)
      data.push({ object: 'embedding', index, embedding })
    }
    const tokens = inputs.reduce((sum, input) => sum + input.length, 0)
    sendJson(response, {
      object: 'list',
      data,
      model: loaded.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  }
}

/** 32-bit little-endian floats, as OpenAI encodes them. */
function base64(vector: Float64Array): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString('base64')
}

function readInputs(loaded: LoadedModel, body: Body): number[][] {
  const { input } = body
  if (input === undefined || input === null) throw badParameter('input', 'input is missing.')
  const isTokens =
    Array.isArray(input) && input.length > 0 && input.every((entry) => typeof entry === 'number')
  const list: unknown[] = Array.isArray(input) && !isTokens ? input : [input]
  if (list.length === 0 || list.length > maxInputs) {
    throw badParameter('input', `input must hold 1 to ${maxInputs} texts.`)
  }
  return list.map((entry, index) => {
    if (typeof entry === 'string' && entry.length > 0) return loaded.vocabulary.tokenizeDocument(entry)
    if (
      Array.isArray(entry) &&
      entry.length > 0 &&
      entry.every((token) => isToken(token, loaded.vocabularySize))
    ) {
      return entry as number[]
    }
    throw badParameter('input', `input[${index}] must be text that is not empty, or token ids.`)
  })
}
