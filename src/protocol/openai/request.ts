/**
 * A parsed JSON body as a checked OpenAI request. The body itself travels on unchanged; what is kept here is only
 * what the hub needs to route it, and which parameters the engine must be able to honour.
 */
import { HolonError } from '../../core/errors.ts'
import { describe, isObject } from './checks.ts'
import { checkMessages } from './messages.ts'
import {
  chatParameters,
  completionParameters,
  embeddingParameters,
  type ParameterTable,
} from './parameter-table.ts'

export type Endpoint = 'chat' | 'completion' | 'embedding'

export interface OpenAiRequest {
  endpoint: Endpoint
  model: string
  stream: boolean
  /** Choices asked for. */
  n: number
  /** Parameters set to something other than their neutral value; the engine must honour each. */
  asked: readonly string[]
  /** Kinds of media in the messages ("image_url"), which the engine must honour too. */
  media: readonly string[]
  /** How the caller's own dialect calls them, where that differs: errors speak the caller's language. */
  names?: ReadonlyMap<string, string>
}

const tables: Record<Endpoint, ParameterTable> = {
  chat: chatParameters,
  completion: completionParameters,
  embedding: embeddingParameters,
}
const contentOf: Record<Endpoint, string> = { chat: 'messages', completion: 'prompt', embedding: 'input' }
const none: readonly string[] = []
const mediaFound = new Set<string>()

/**
 * @throws HolonError invalid_parameter, missing_parameter, unsupported_parameter; never anything else
 */
export function checkRequest(endpoint: Endpoint, body: unknown): OpenAiRequest {
  if (!isObject(body)) {
    throw new HolonError('invalid_json', `The body must be a JSON object, but it is ${describe(body)}.`)
  }
  const table = tables[endpoint]
  const asked = checkParameters(table, body)
  requireParameter(body, 'model')
  requireParameter(body, contentOf[endpoint])
  let media = none
  if (endpoint === 'chat') {
    // One set for all: clearing an empty one would make a new table.
    if (mediaFound.size > 0) mediaFound.clear()
    checkMessages(body.messages, mediaFound)
    if (mediaFound.size > 0) media = [...mediaFound]
    checkChatCombinations(body)
  }
  if (body.stream_options != null && body.stream !== true) {
    throw new HolonError('invalid_parameter', 'stream_options is allowed only when stream is true.', {
      param: 'stream_options',
    })
  }
  return {
    endpoint,
    model: body.model as string,
    stream: body.stream === true,
    n: typeof body.n === 'number' ? body.n : 1,
    asked,
    media,
  }
}

function checkParameters(table: ParameterTable, body: Record<string, unknown>): readonly string[] {
  const asked: string[] = []
  for (const name in body) {
    const rule = table.get(name)
    if (rule === undefined) throw unknownParameter(name, table)
    const value = body[name]
    if (value === null) continue
    rule.check(value, name)
    if (rule.kind === 'engine' && !rule.neutral?.(value)) asked.push(name)
  }
  return asked
}

function unknownParameter(name: string, table: ParameterTable): HolonError {
  const shown = name.slice(0, 64)
  const close = [...table.keys()].find((known) => known.replaceAll('_', '') === simplified(name))
  return new HolonError('invalid_parameter', `Unknown parameter "${shown}".`, {
    param: shown,
    hint: close ? `Did you mean "${close}"?` : 'Leave it out.',
  })
}

function simplified(name: string): string {
  return name
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[^a-z]/g, '')
}

function requireParameter(body: Record<string, unknown>, name: string): void {
  if (body[name] == null) {
    throw new HolonError('missing_parameter', `The parameter "${name}" is missing.`, {
      param: name,
      hint: name === 'model' ? 'Name a model; GET /v1/models lists them.' : `Send "${name}" in the body.`,
    })
  }
}

function checkChatCombinations(body: Record<string, unknown>): void {
  if (typeof body.top_logprobs === 'number' && body.top_logprobs > 0 && body.logprobs !== true) {
    throw new HolonError('invalid_parameter', 'top_logprobs is allowed only when logprobs is true.', {
      param: 'top_logprobs',
    })
  }
  const choice = body.tool_choice
  if (choice == null || choice === 'auto' || choice === 'none') return
  const offered = Array.isArray(body.tools) ? (body.tools as { function: { name: string } }[]) : []
  if (offered.length === 0) {
    throw new HolonError('invalid_parameter', 'tool_choice asks for a tool call, but tools is empty.', {
      param: 'tool_choice',
    })
  }
  if (choice === 'required') return
  const name = (choice as { function: { name: string } }).function.name
  if (!offered.some((tool) => tool.function.name === name)) {
    throw new HolonError(
      'invalid_parameter',
      `tool_choice names "${name.slice(0, 64)}", which is not in tools.`,
      {
        param: 'tool_choice',
      },
    )
  }
}

/**
 * Refuses by name what the engine would ignore.
 * @throws HolonError unsupported_parameter
 */
export function requireHonoured(
  request: OpenAiRequest,
  parameters: ReadonlySet<string>,
  engineName: string,
): void {
  for (const name of request.asked) {
    if (!parameters.has(name)) throw unsupported(request.names?.get(name) ?? name, engineName)
  }
  for (const kind of request.media) {
    if (!parameters.has(kind)) {
      throw new HolonError(
        'unsupported_parameter',
        `The engine ${engineName} cannot read "${request.names?.get(kind) ?? kind}" in messages.`,
        { param: 'messages', hint: 'Send text only, or use a model and engine that read this.' },
      )
    }
  }
}

function unsupported(name: string, engineName: string): HolonError {
  return new HolonError('unsupported_parameter', `The engine ${engineName} cannot honour "${name}".`, {
    param: name,
  })
}
