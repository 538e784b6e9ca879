/** /openapi.json: the management API, from the same schemas that check it. The OpenAI surface is OpenAI's to describe. */
import { z } from 'zod'
import type { Operation } from './operations.ts'

const errorSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code', 'source'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: ['string', 'null'] },
        source: { enum: ['hub', 'engine'] },
      },
    },
  },
}

export function openApi(operations: readonly Operation[], version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const operation of operations) {
    paths[operation.path] ??= {}
    paths[operation.path]![operation.method] = describeOperation(operation)
  }
  paths['/fleet/v1/events'] = {
    get: {
      summary: 'Server-sent events: `nodes` when the fleet changes, `answer` when an answer ends.',
      responses: { 200: { description: 'A stream of events.', content: { 'text/event-stream': {} } } },
    },
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holon',
      version,
      description: 'Management of a Holon hub. /v1 follows the OpenAI API and is not repeated here.',
    },
    paths,
    components: { schemas: { Error: errorSchema } },
  }
}

function describeOperation(operation: Operation): object {
  const description: Record<string, unknown> = {
    summary: operation.summary,
    operationId: `${operation.method}${operation.path.replace('/fleet/v1', '').replaceAll('/', '_').replaceAll(/[{}]/g, '')}`,
    responses: {
      200: { description: 'Done.', content: json(z.toJSONSchema(operation.response)) },
      default: { description: 'An error.', content: json({ $ref: '#/components/schemas/Error' }) },
    },
  }
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  if (names.length > 0) {
    description.parameters = names.map((name) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }))
  }
  if (operation.request) {
    description.requestBody = {
      required: true,
      content: json(z.toJSONSchema(operation.request, { io: 'input' })),
    }
  }
  return description
}

function json(schema: object): object {
  return { 'application/json': { schema } }
}
