/** OpenAI's `/v1/responses` as a chat request. */
import {
  bodyFields,
  type Fields,
  functionName,
  given,
  objectAt,
  put,
  refuseListed,
  refuseUnknown,
  required,
  unsupported,
} from '../fields.ts'
import {
  arrayOf,
  boolean,
  filledText,
  integerBetween,
  numberBetween,
  object,
  oneOf,
  refuse,
  text,
} from '../openai/checks.ts'
import type { Translated } from '../translation.ts'
import { type FindItem, readInput, toMessages } from './items.ts'

export interface ResponsesRequest {
  model: string
  stream: boolean
  store: boolean
  /** The request's own input, for who asks for it later. */
  input: unknown[]
  /** What the response repeats of the request. */
  echo: Fields
  translated: Translated
}

/** What was said before, for `previous_response_id`, and items kept. */
export interface Memory {
  history: readonly unknown[]
  find: FindItem
}

const known = new Set([
  ...[
    'model',
    'input',
    'instructions',
    'max_output_tokens',
    'temperature',
    'top_p',
    'top_logprobs',
    'stream',
  ],
  ...[
    'stream_options',
    'tools',
    'tool_choice',
    'parallel_tool_calls',
    'text',
    'reasoning',
    'store',
    'include',
  ],
  ...['previous_response_id', 'metadata', 'truncation', 'user', 'safety_identifier', 'prompt_cache_key'],
  ...['prompt_cache_retention', 'service_tier', 'max_tool_calls'],
])
const cannot = new Map([
  ['background', 'an answer is given while the caller waits'],
  ['conversation', 'conversations are not kept; use previous_response_id or send the items'],
  ['prompt', 'prompt templates are not kept; send the instructions themselves'],
  ['context_management', 'the hub does not compact the input'],
])
const names = new Map([
  ['max_tokens', 'max_output_tokens'],
  ['response_format', 'text.format'],
  ['verbosity', 'text.verbosity'],
  ['reasoning_effort', 'reasoning.effort'],
  ['image_url', 'input_image'],
])
const maxInt = 2 ** 31 - 1

/** @throws HolonError invalid_parameter, missing_parameter, unsupported_parameter; never anything else */
export function readRequest(body: unknown, memory: Memory): ResponsesRequest {
  const fields = bodyFields(body)
  refuseListed(fields, cannot)
  refuseUnknown(fields, new Set([...known, ...cannot.keys()]))
  const model = required<string>(fields, 'model', filledText)
  const input = readInput(
    required(fields, 'input', () => undefined),
    memory.find,
  )
  const instructions = given<string>(fields, 'instructions', text)
  const stream = given<boolean>(fields, 'stream', boolean) ?? false
  const chat: Fields = { model, messages: toMessages([...memory.history, ...input], instructions) }
  if ((chat.messages as unknown[]).length === 0)
    refuse('input', 'an array of at least one item', fields.input)
  const options = readOptions(fields)
  put(chat, { ...options, stream: stream || undefined })
  return {
    model,
    stream,
    store: given<boolean>(fields, 'store', boolean) ?? true,
    input,
    echo: echoOf(fields, instructions),
    translated: {
      endpoint: 'chat',
      body: chat,
      wishes: stream ? { stream_options: { include_usage: true } } : {},
      names,
    },
  }
}

function readOptions(fields: Fields): Fields {
  checkLabels(fields)
  const { withLogprobs } = readInclude(fields)
  const top = given<number>(fields, 'top_logprobs', integerBetween(0, 20))
  const logprobs = withLogprobs || (top ?? 0) > 0
  return {
    max_tokens: given(fields, 'max_output_tokens', integerBetween(1, maxInt)),
    temperature: given(fields, 'temperature', numberBetween(0, 2)),
    top_p: given(fields, 'top_p', numberBetween(0, 1)),
    parallel_tool_calls: given(fields, 'parallel_tool_calls', boolean) === false ? false : undefined,
    logprobs: logprobs || undefined,
    top_logprobs: logprobs ? top : undefined,
    ...readTools(fields),
    ...readText(fields),
    ...readReasoning(fields),
  }
}

/** They tell who asks, or ask for what is so anyway. */
function checkLabels(fields: Fields): void {
  for (const name of ['user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention']) {
    given(fields, name, text)
  }
  for (const name of ['metadata', 'stream_options']) given(fields, name, object)
  // It bounds calls of tools that OpenAI runs; none run here.
  given(fields, 'max_tool_calls', integerBetween(1, maxInt))
  const tier = given<string>(fields, 'service_tier', text)
  if (tier !== undefined && tier !== 'auto' && tier !== 'default') {
    throw unsupported(
      'service_tier',
      `service_tier "${tier.slice(0, 40)}" cannot be honoured here: there is one tier.`,
    )
  }
  if (given<string>(fields, 'truncation', oneOf('auto', 'disabled')) === 'auto') {
    throw unsupported(
      'truncation',
      'truncation "auto" cannot be honoured here: an input is never cut in silence.',
    )
  }
}

/** Encrypted thoughts are for callers who may not read them: here they come in plain words, and are taken back so. */
function readInclude(fields: Fields): { withLogprobs: boolean } {
  const list = given<string[]>(fields, 'include', arrayOf(text, 0, 64)) ?? []
  for (const name of list) {
    if (name === 'reasoning.encrypted_content' || name === 'message.output_text.logprobs') continue
    throw unsupported('include', `include "${name.slice(0, 60)}" cannot be honoured here.`)
  }
  return { withLogprobs: list.includes('message.output_text.logprobs') }
}

function readTools(fields: Fields): Fields {
  const list = given<Fields[]>(fields, 'tools', arrayOf(object, 0, 1024)) ?? []
  const tools = list.map((tool, index) => readTool(tool, `tools[${index}].`))
  const choice = fields.tool_choice
  if (choice == null) return tools.length === 0 ? {} : { tools }
  if (choice === 'none' || choice === 'auto' || choice === 'required') {
    if (tools.length > 0) return { tools, tool_choice: choice }
    if (choice === 'required') refuse('tool_choice', '"none" or "auto" when there are no tools', choice)
    return {}
  }
  const asked = objectAt(choice, 'tool_choice', '"none", "auto", "required" or an object with a type')
  if (asked.type === 'allowed_tools') return allowed(asked, tools)
  if (asked.type !== 'function') {
    throw unsupported(
      'tool_choice.type',
      'tool_choice.type must be "function" or "allowed_tools": no other kind runs here.',
    )
  }
  const name = required<string>(asked, 'name', functionName, 'tool_choice.')
  requireOffered(tools, name, 'tool_choice.name')
  return { tools, tool_choice: { type: 'function', function: { name } } }
}

interface ChatTool {
  type: 'function'
  function: Fields
}

function readTool(tool: Fields, at: string): ChatTool {
  if (tool.type !== 'function') {
    const kind = typeof tool.type === 'string' ? tool.type.slice(0, 40) : 'unknown'
    throw unsupported(
      `${at}type`,
      `${at}type "${kind}" cannot be honoured here: only functions can, which the caller runs.`,
    )
  }
  const described: Fields = { name: required(tool, 'name', functionName, at) }
  put(described, {
    description: given(tool, 'description', text, at),
    parameters: given(tool, 'parameters', object, at),
    strict: given(tool, 'strict', boolean, at),
  })
  return { type: 'function', function: described }
}

/** Offering only those allowed is what keeps the others from being called. */
function allowed(choice: Fields, tools: ChatTool[]): Fields {
  oneOf('auto', 'required')(choice.mode, 'tool_choice.mode')
  const list = required<Fields[]>(choice, 'tools', arrayOf(object, 1, 1024), 'tool_choice.')
  const chosen = new Set(
    list.map((each, index) => {
      const name = required<string>(each, 'name', functionName, `tool_choice.tools[${index}].`)
      requireOffered(tools, name, `tool_choice.tools[${index}].name`)
      return name
    }),
  )
  return { tools: tools.filter((tool) => chosen.has(tool.function.name as string)), tool_choice: choice.mode }
}

function requireOffered(tools: readonly ChatTool[], name: string, param: string): void {
  if (!tools.some((tool) => tool.function.name === name)) refuse(param, 'the name of one of the tools', name)
}

function readText(fields: Fields): Fields {
  const said = fields.text == null ? {} : objectAt(fields.text, 'text')
  refuseUnknown(said, new Set(['format', 'verbosity']), 'text.')
  const read: Fields = { verbosity: given(said, 'verbosity', oneOf('low', 'medium', 'high'), 'text.') }
  if (said.format == null) return read
  const format = objectAt(said.format, 'text.format', 'an object with a type')
  if (format.type === 'text') return read
  if (format.type === 'json_object') return { ...read, response_format: { type: 'json_object' } }
  if (format.type !== 'json_schema') {
    refuse('text.format.type', 'one of "text", "json_object", "json_schema"', format.type)
  }
  const schema: Fields = {
    name: given(format, 'name', functionName, 'text.format.') ?? 'answer',
    schema: required(format, 'schema', object, 'text.format.'),
  }
  put(schema, {
    strict: given(format, 'strict', boolean, 'text.format.'),
    description: given(format, 'description', text, 'text.format.'),
  })
  return { ...read, response_format: { type: 'json_schema', json_schema: schema } }
}

function readReasoning(fields: Fields): Fields {
  if (fields.reasoning == null) return {}
  const reasoning = objectAt(fields.reasoning, 'reasoning')
  refuseUnknown(reasoning, new Set(['effort', 'summary', 'generate_summary']), 'reasoning.')
  // A thought is given whole, in its own words, so that nobody needs a summary of it.
  for (const name of ['summary', 'generate_summary']) {
    given(reasoning, name, oneOf('auto', 'concise', 'detailed'), 'reasoning.')
  }
  const levels = oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh')
  return { reasoning_effort: given(reasoning, 'effort', levels, 'reasoning.') }
}

function echoOf(fields: Fields, instructions: string | undefined): Fields {
  const reasoning = (fields.reasoning ?? {}) as Fields
  const said = (fields.text ?? {}) as Fields
  return {
    instructions: instructions ?? null,
    max_output_tokens: fields.max_output_tokens ?? null,
    max_tool_calls: fields.max_tool_calls ?? null,
    metadata: fields.metadata ?? {},
    parallel_tool_calls: fields.parallel_tool_calls ?? true,
    previous_response_id: fields.previous_response_id ?? null,
    reasoning: { effort: reasoning.effort ?? null, summary: reasoning.summary ?? null },
    service_tier: 'default',
    store: fields.store ?? true,
    temperature: fields.temperature ?? null,
    text: { ...said, format: said.format ?? { type: 'text' } },
    tool_choice: fields.tool_choice ?? 'auto',
    tools: fields.tools ?? [],
    top_logprobs: fields.top_logprobs ?? 0,
    top_p: fields.top_p ?? null,
    truncation: 'disabled',
    user: fields.user ?? null,
  }
}
