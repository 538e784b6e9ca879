import type { TemplateMessage } from './chat-template.ts'
import { type Body, stringAt } from './fields.ts'
import type { LoadedModel } from './load.ts'
import { type OutputParser, plainText } from './tools/output-parser.ts'

/** What a chat request demands of the answer's form, and how to read it back. */
export interface Constraints {
  grammar: string | null
  visible: ReadonlySet<string>
  /** Tools for the template to write into the prompt; empty when it cannot. */
  templateTools: unknown[]
  /** The messages to render: tools are described in them when the template does not know tools. */
  prepare(messages: TemplateMessage[]): TemplateMessage[]
  createParser(): OutputParser
}

export function constraintsOf(_loaded: LoadedModel, body: Body): Constraints {
  return {
    grammar: stringAt(body, 'grammar') ?? null,
    visible: new Set(),
    templateTools: [],
    prepare: (messages) => messages,
    createParser: () => plainText,
  }
}
