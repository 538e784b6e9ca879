import type { TemplateMessage } from './chat-template.ts'
import { type Body, badParameter, booleanAt, stringAt } from './fields.ts'
import { responseGrammar } from './grammar/response-format.ts'
import type { LoadedModel } from './load.ts'
import { describeTools } from './tools/describe.ts'
import { type OutputParser, plainText } from './tools/output-parser.ts'
import { readTools, type ToolRequest } from './tools/read-tools.ts'
import { ReasoningParser, reasoningMarkers } from './tools/reasoning-parser.ts'
import { callGrammar, parserFor, styleOf, toolMarkers } from './tools/styles.ts'

/** What a chat request demands of the answer's form, and how to read it back. */
export interface Constraints {
  grammar: string | null
  /** Special tokens that are part of the text. */
  visible: ReadonlySet<string>
  /** Tools for the template to write into the prompt; empty when it cannot. */
  templateTools: unknown[]
  /** One call ends the answer. */
  single: boolean
  /** The messages to render: tools are described in them when the template does not know tools. */
  prepare(messages: TemplateMessage[]): TemplateMessage[]
  /** `prompt` is the rendered one: it tells whether the model is thinking already. */
  createParser(prompt: string): OutputParser
}

export function constraintsOf(loaded: LoadedModel, body: Body): Constraints {
  const request = readTools(body)
  const several = booleanAt(body, 'parallel_tool_calls') ?? true
  const grammar = onlyGrammar(body, request)
  const { template } = loaded
  const hasTools = request.tools.length > 0
  const thinks = template.source.includes(reasoningMarkers[0])
  const style = styleOf(template.knowsTools ? template.source : '')
  return {
    grammar:
      request.choice === 'required' ? callGrammar(style, request.tools, several && named(body)) : grammar,
    visible: new Set([...(hasTools ? toolMarkers : []), ...(thinks ? reasoningMarkers : [])]),
    templateTools: template.knowsTools ? request.tools.map((tool) => tool.original) : [],
    single: hasTools && !several,
    prepare: (messages) => (template.knowsTools ? messages : describeTools(messages, request.tools)),
    createParser: (prompt) => {
      const answer = hasTools ? parserFor(style, request.tools) : plainText
      return thinks ? new ReasoningParser(answer, prompt) : answer
    },
  }
}

/** A named tool is called once; "required" leaves the number open. */
function named(body: Body): boolean {
  return body.tool_choice === 'required'
}

/** At most one thing may rule the answer's form. */
function onlyGrammar(body: Body, request: ToolRequest): string | null {
  const grammar = stringAt(body, 'grammar') ?? null
  const response = responseGrammar(body)
  if (grammar !== null && response !== null) {
    throw badParameter(
      'grammar',
      'grammar and response_format both rule the form of the answer: give one of them.',
    )
  }
  const either = grammar ?? response
  if (either !== null && request.tools.length > 0) {
    const param = grammar !== null ? 'grammar' : 'response_format'
    throw badParameter(
      param,
      `${param} leaves no room for the calls that tools allow: give one, or "tool_choice": "none".`,
    )
  }
  return either
}
