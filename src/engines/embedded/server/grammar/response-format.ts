import { type Body, badParameter, isObject, objectAt } from '../fields.ts'
import { SchemaConverter } from './json-schema.ts'

/** `response_format` as a grammar; null for plain text. */
export function responseGrammar(body: Body): string | null {
  const format = objectAt(body, 'response_format')
  if (!format || format.type === 'text') return null
  const converter = new SchemaConverter('response_format')
  if (format.type === 'json_object') {
    // llama-server takes a schema here too.
    const schema = format.schema ?? { type: 'object' }
    return converter.builder.text(converter.convert(schema, 'answer'))
  }
  if (format.type === 'json_schema') {
    const wrapper = format.json_schema
    const schema = isObject(wrapper) ? wrapper.schema : undefined
    if (schema === undefined) {
      throw badParameter('response_format', 'response_format.json_schema.schema is missing.')
    }
    return converter.builder.text(converter.convert(schema, 'answer'))
  }
  throw badParameter(
    'response_format',
    `response_format.type must be "text", "json_object" or "json_schema", not ${JSON.stringify(format.type)}.`,
  )
}
