import { Template } from '@huggingface/jinja'
import { HolonError } from '../../../core/errors.ts'

/** One message as templates expect it: text content, and tool arguments as objects rather than JSON text. */
export interface TemplateMessage {
  role: string
  content: string | null
  [key: string]: unknown
}

export interface TemplateInput {
  messages: TemplateMessage[]
  tools?: unknown[]
  /** Extra variables (`enable_thinking` ...). */
  variables?: Record<string, unknown>
}

/** Used when a model brings no template: the format most instruction models know. llama.cpp does the same. */
const chatMl =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/** Our own name for `raise_exception`, to tell a template that refuses the messages from one that is broken. */
const refuse = 'holon_refuse'

/** Names the renderer itself declares; a second declaration is an error deep inside it. */
const reserved = new Set([
  'messages',
  'tools',
  'range',
  'true',
  'false',
  'none',
  'True',
  'False',
  'None',
  'strftime_now',
  'raise_exception',
  refuse,
])

/**
 * The model's own chat template. A model without one is prompted as ChatML; one whose template is broken is not:
 * a wrong prompt yields confident nonsense, an error says what is wrong and leaves /v1/completions working.
 */
export class ChatTemplate {
  readonly source: string
  /** Why it cannot be used, when it cannot. */
  readonly broken: string | null
  readonly missing: boolean
  private readonly template: Template | null
  private readonly tokens: { bos: string; eos: string }
  private toolsKnown: boolean | null = null

  constructor(source: string | null, tokens: { bos: string; eos: string }) {
    this.missing = source === null
    this.source = source ?? chatMl
    this.tokens = tokens
    let template: Template | null = null
    let broken: string | null = null
    try {
      template = new Template(this.source.replace(/\braise_exception\s*\(/g, `${refuse}(`))
    } catch (cause) {
      broken = reason(cause)
    }
    this.template = template
    this.broken = broken
  }

  /** @throws HolonError model_file_invalid when broken, invalid_parameter when it refuses these messages */
  render(input: TemplateInput): string {
    if (!this.template) {
      throw new HolonError(
        'model_file_invalid',
        `The model's chat template cannot be read: ${this.broken}.`,
        { source: 'engine', hint: brokenHint },
      )
    }
    for (const name of Object.keys(input.variables ?? {})) {
      if (!reserved.has(name)) continue
      throw new HolonError('invalid_parameter', `chat_template_kwargs may not set "${name}".`, {
        param: 'chat_template_kwargs',
        source: 'engine',
      })
    }
    let refused: string | null = null
    try {
      return this.template.render({
        messages: input.messages,
        tools: input.tools && input.tools.length > 0 ? input.tools : null,
        add_generation_prompt: true,
        bos_token: this.tokens.bos,
        eos_token: this.tokens.eos,
        [refuse]: (message: string) => {
          refused = message
          throw new Error(message)
        },
        ...input.variables,
      })
    } catch (cause) {
      if (refused !== null) {
        throw new HolonError(
          'invalid_parameter',
          `The model's chat template refuses these messages: ${refused}.`,
          {
            param: 'messages',
            source: 'engine',
            cause,
          },
        )
      }
      throw new HolonError(
        'model_file_invalid',
        `The model's chat template failed on these messages: ${reason(cause)}.`,
        { source: 'engine', hint: brokenHint, cause },
      )
    }
  }

  /** Whether the template writes tools into the prompt itself, tried once with a tool nobody else names. */
  get knowsTools(): boolean {
    if (this.toolsKnown === null) {
      const name = 'holon_probe_tool'
      try {
        const tool = {
          type: 'function',
          function: { name, description: name, parameters: { type: 'object', properties: {} } },
        }
        this.toolsKnown = this.render({
          messages: [{ role: 'user', content: 'hi' }],
          tools: [tool],
        }).includes(name)
      } catch {
        this.toolsKnown = false
      }
    }
    return this.toolsKnown
  }
}

const brokenHint = 'Use /v1/completions with a prompt of your own, or pull another build of the model.'

function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  return text
    .replace(/\s+/g, ' ')
    .replace(/[.\s]+$/, '')
    .slice(0, 300)
}
