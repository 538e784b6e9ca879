import { type GrammarBuilder, literal } from '../grammar/gbnf.ts'
import { SchemaConverter } from '../grammar/json-schema.ts'
import { BareParser } from './bare-parser.ts'
import { MarkedParser, type Marks } from './marked-parser.ts'
import type { OutputParser } from './output-parser.ts'
import type { Tool } from './read-tools.ts'

/** How a model writes tool calls: told by its chat template, which teaches the model the same words. */
export type ToolStyle = 'hermes' | 'mistral' | 'mistral-named' | 'llama3'

export function styleOf(template: string): ToolStyle {
  if (template.includes('[TOOL_CALLS]')) return template.includes('[ARGS]') ? 'mistral-named' : 'mistral'
  if (template.includes('<tool_call>')) return 'hermes'
  const isLlama = template.includes('<|python_tag|>') || /"name": function name, "parameters"/.test(template)
  return isLlama ? 'llama3' : 'hermes'
}

const marks: Record<Exclude<ToolStyle, 'llama3'>, Marks> = {
  hermes: { open: '<tool_call>', close: '</tool_call>', separator: null },
  mistral: { open: '[TOOL_CALLS]', close: null, separator: null },
  'mistral-named': { open: '[TOOL_CALLS]', close: null, separator: '[ARGS]' },
}

/** Special tokens that must stay in the text for the parser to see them. */
export const toolMarkers: ReadonlySet<string> = new Set([
  '<tool_call>',
  '</tool_call>',
  '[TOOL_CALLS]',
  '[ARGS]',
  '<|python_tag|>',
])

export function parserFor(style: ToolStyle, tools: readonly Tool[]): OutputParser {
  if (style === 'llama3') return new BareParser()
  return new MarkedParser(marks[style], (name, key) => {
    const tool = tools.find((each) => each.name === name)
    const properties = tool?.parameters.properties as Record<string, { type?: unknown }> | undefined
    const type = properties?.[key]?.type
    return typeof type === 'string' ? type : undefined
  })
}

const mostForcedCalls = 8

/** A grammar that lets the model say nothing but calls of `tools`: one, or up to eight. */
export function callGrammar(style: ToolStyle, tools: readonly Tool[], several: boolean): string {
  const converter = new SchemaConverter('tools')
  const { builder } = converter
  builder.primitive('space')
  const alternatives = (form: (tool: Tool, schema: string) => string): string =>
    builder.add(
      'call',
      tools
        .map((tool) => form(tool, converter.convert(tool.parameters, `${tool.name}-arguments`)))
        .map((body, index) => builder.add(`call-${tools[index]?.name}`, body))
        .join(' | '),
    )
  return builder.text(rootRule(style, several, builder, alternatives))
}

function rootRule(
  style: ToolStyle,
  several: boolean,
  builder: GrammarBuilder,
  alternatives: (form: (tool: Tool, schema: string) => string) => string,
): string {
  const more = several ? mostForcedCalls - 1 : 0
  const repeat = (separator: string, call: string): string =>
    more > 0 ? `${call} (${separator}${call}){0,${more}}` : call
  if (style === 'mistral-named') {
    const call = alternatives((tool, schema) => `${literal(`[TOOL_CALLS]${tool.name}[ARGS]`)} ${schema}`)
    return repeat('', call)
  }
  const key = style === 'llama3' ? 'parameters' : 'arguments'
  const call = alternatives(
    (tool, schema) => `${literal(`{"name": ${JSON.stringify(tool.name)}, "${key}": `)} ${schema} space "}"`,
  )
  if (style === 'llama3') return call
  if (style === 'mistral') return `"[TOOL_CALLS][" ${repeat('", " ', call)} "]"`
  const framed = builder.add('framed', `"<tool_call>\\n" ${call} "\\n</tool_call>"`)
  return repeat('"\\n" ', framed)
}
