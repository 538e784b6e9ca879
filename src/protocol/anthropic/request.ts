/** Anthropic's `/v1/messages` as an OpenAI chat request. */
import { HolonError } from '../../core/errors.ts'
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
import { readMessages, readSystem } from './messages.ts'

export interface AnthropicRequest {
  model: string
  stream: boolean
  stopSequences: readonly string[]
  /** False when the caller switched thinking off: then it is not shown, even by a model that thinks all the same. */
  showThinking: boolean
  translated: Translated
}

/** They tell who asks, or how Anthropic's own service should run it: nothing that changes the answer here. */
const labels = [
  ...['metadata', 'service_tier', 'cache_control', 'inference_geo', 'speed', 'diagnostics'],
  ...['user_profile_id', 'workspace_id'],
]
const known = new Set([
  ...[
    'model',
    'messages',
    'max_tokens',
    'system',
    'stream',
    'stop_sequences',
    'temperature',
    'top_p',
    'top_k',
  ],
  ...['tools', 'tool_choice', 'thinking', 'output_config', 'output_format'],
  ...labels,
])
const cannot = new Map([
  ['mcp_servers', 'the hub calls no MCP servers'],
  ['container', 'there are no containers for code'],
  ['context_management', 'the hub does not edit the conversation'],
])
const maxInt = 2 ** 31 - 1

const names = new Map([
  ['stop', 'stop_sequences'],
  ['response_format', 'output_config.format'],
  ['reasoning_effort', 'output_config.effort'],
  ['parallel_tool_calls', 'tool_choice.disable_parallel_tool_use'],
  ['image_url', 'image'],
])

/**
 * @param purpose `count` for /v1/messages/count_tokens, where nothing is generated
 * @throws HolonError invalid_parameter, missing_parameter, unsupported_parameter; never anything else
 */
export function readRequest(body: unknown, purpose: 'answer' | 'count' = 'answer'): AnthropicRequest {
  const fields = bodyFields(body)
  refuseListed(fields, cannot)
  refuseUnknown(fields, known)
  const model = required<string>(fields, 'model', filledText)
  const chat: Fields = { model, messages: [...readSystem(fields.system), ...readMessages(fields.messages)] }
  const stopSequences = given<string[]>(fields, 'stop_sequences', arrayOf(filledText, 0, 64)) ?? []
  const stream = given<boolean>(fields, 'stream', boolean) ?? false
  given(fields, 'metadata', object)
  given(fields, 'service_tier', text)
  const maxTokens = integerBetween(1, maxInt)
  put(chat, {
    max_tokens:
      purpose === 'answer'
        ? required(fields, 'max_tokens', maxTokens)
        : given(fields, 'max_tokens', maxTokens),
    temperature: given(fields, 'temperature', numberBetween(0, 2)),
    top_p: given(fields, 'top_p', numberBetween(0, 1)),
    top_k: given(fields, 'top_k', integerBetween(0, maxInt)),
    stop: stopSequences.length > 0 ? stopSequences : undefined,
    stream: stream || undefined,
    ...readTools(fields),
    ...readOutput(fields),
  })
  const { show, wishes } = readThinking(fields)
  if (stream) wishes.stream_options = { include_usage: true }
  return {
    model,
    stream,
    stopSequences,
    showThinking: show,
    translated: { endpoint: 'chat', body: chat, wishes, names },
  }
}

const toolFields = new Set([
  ...['type', 'name', 'description', 'input_schema', 'strict', 'cache_control'],
  // They steer Anthropic's own machinery around the call and ask nothing of the model.
  ...['eager_input_streaming', 'input_examples', 'defer_loading', 'allowed_callers'],
])

function readTools(fields: Fields): Fields {
  const list = given<unknown[]>(fields, 'tools', arrayOf(object, 0, 1024)) ?? []
  const choice = readChoice(fields.tool_choice, list)
  if (list.length === 0) return choice
  return {
    tools: list.map((tool, index) => readTool(objectAt(tool, 'tools'), `tools[${index}].`)),
    ...choice,
  }
}

function readTool(tool: Fields, at: string): object {
  const type = given<string>(tool, 'type', text, at)
  if (type !== undefined && type !== 'custom') {
    throw unsupported(
      `${at}type`,
      `${at}type "${type.slice(0, 40)}" is a tool that Anthropic runs; nobody runs it here.`,
    )
  }
  refuseUnknown(tool, toolFields, at)
  const described: Fields = { name: required<string>(tool, 'name', functionName, at) }
  put(described, {
    description: given(tool, 'description', text, at),
    parameters: required(tool, 'input_schema', object, at),
    strict: given(tool, 'strict', boolean, at),
  })
  return { type: 'function', function: described }
}

function readChoice(value: unknown, tools: unknown[]): Fields {
  if (value == null) return {}
  const choice = objectAt(value, 'tool_choice', 'an object with a type')
  refuseUnknown(choice, new Set(['type', 'name', 'disable_parallel_tool_use']), 'tool_choice.')
  const { type } = choice
  const read: Fields = {}
  if (given<boolean>(choice, 'disable_parallel_tool_use', boolean, 'tool_choice.') === true) {
    read.parallel_tool_calls = false
  }
  oneOf('auto', 'any', 'tool', 'none')(type, 'tool_choice.type')
  if (type === 'none') return { tool_choice: 'none' }
  if (type === 'auto') return tools.length === 0 ? {} : { ...read, tool_choice: 'auto' }
  if (tools.length === 0) {
    throw new HolonError('invalid_parameter', 'tool_choice asks for a tool call, but tools is empty.', {
      param: 'tool_choice',
    })
  }
  if (type === 'any') return { ...read, tool_choice: 'required' }
  const name = required<string>(choice, 'name', functionName, 'tool_choice.')
  if (!tools.some((tool) => (tool as Fields).name === name)) {
    throw new HolonError('invalid_parameter', `tool_choice names "${name}", which is not in tools.`, {
      param: 'tool_choice.name',
    })
  }
  return { ...read, tool_choice: { type: 'function', function: { name } } }
}

function readThinking(fields: Fields): { show: boolean; wishes: Fields } {
  if (fields.thinking == null) return { show: true, wishes: {} }
  const thinking = objectAt(fields.thinking, 'thinking', 'an object with a type')
  refuseUnknown(thinking, new Set(['type', 'budget_tokens', 'display']), 'thinking.')
  oneOf('enabled', 'disabled', 'adaptive', 'between_tools')(thinking.type, 'thinking.type')
  const display = given<string>(thinking, 'display', oneOf('summarized', 'omitted'), 'thinking.')
  if (thinking.type === 'disabled') {
    return { show: false, wishes: { chat_template_kwargs: { enable_thinking: false } } }
  }
  const wishes: Fields = { chat_template_kwargs: { enable_thinking: true } }
  if (thinking.type === 'enabled') {
    wishes.thinking_budget_tokens = required(
      thinking,
      'budget_tokens',
      integerBetween(1, maxInt),
      'thinking.',
    )
  }
  return { show: display !== 'omitted', wishes }
}

/** `output_config` and its older name for the format. */
function readOutput(fields: Fields): Fields {
  const config = fields.output_config == null ? {} : objectAt(fields.output_config, 'output_config')
  refuseUnknown(config, new Set(['format', 'effort']), 'output_config.')
  const effort = given<string>(
    config,
    'effort',
    oneOf('low', 'medium', 'high', 'xhigh', 'max'),
    'output_config.',
  )
  const older = fields.output_format != null
  const param = older ? 'output_format' : 'output_config.format'
  const format = older ? fields.output_format : config.format
  const read: Fields = {}
  if (effort !== undefined) read.reasoning_effort = effort === 'max' ? 'xhigh' : effort
  if (format == null) return read
  const form = objectAt(format, param, 'an object with type and schema')
  if (form.type !== 'json_schema') refuse(`${param}.type`, '"json_schema"', form.type)
  const schema = required(form, 'schema', object, `${param}.`)
  return { ...read, response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } } }
}
