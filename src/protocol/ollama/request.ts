/** Ollama's `/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings` as OpenAI requests. */
import {
  bodyFields,
  type Fields,
  functionName,
  given,
  imagePart,
  objectAt,
  put,
  refuseListed,
  refuseUnknown,
  required,
} from '../fields.ts'
import {
  arrayOf,
  boolean,
  type Check,
  filledText,
  integerBetween,
  isObject,
  object,
  refuse,
  text,
} from '../openai/checks.ts'
import type { Translated } from '../translation.ts'
import { readKeepAlive } from './keep-alive.ts'
import { imageType, readMessages } from './messages.ts'
import { optionNames, readOptions } from './options.ts'

export type Kind = 'chat' | 'generate' | 'embed' | 'embeddings'

export interface OllamaRequest {
  kind: Kind
  model: string
  /** Ollama streams unless told not to. */
  stream: boolean
  /** Milliseconds to keep the model after the answer; Infinity for ever, undefined when nothing is said. */
  keepAliveMs: number | undefined
  contextTokens: number | undefined
  showThinking: boolean
  /** Null when the request only loads or unloads the model. */
  translated: Translated | null
}

const names = new Map([
  ...optionNames,
  ['response_format', 'format'],
  ['image_url', 'images'],
  ['reasoning_effort', 'think'],
])
const common = ['model', 'stream', 'options', 'keep_alive']
const generating = [...common, 'format', 'think', 'logprobs', 'top_logprobs', 'truncate', 'shift']
const chatFields = new Set([...generating, 'messages', 'tools'])
const generateFields = new Set([...generating, 'prompt', 'system', 'suffix', 'images', 'raw'])
const embedFields = new Set([...common, 'input', 'truncate', 'dimensions'])
const embeddingsFields = new Set([...common, 'prompt'])

const cannotGenerate = new Map([
  ['template', 'the template of the model’s own file is used; with "raw" the prompt is taken as it is'],
  ['context', 'it is long out of date; send the conversation as messages to /api/chat'],
])

/** @throws HolonError invalid_parameter, missing_parameter, unsupported_parameter; never anything else */
export function readChat(body: unknown): OllamaRequest {
  const fields = bodyFields(body)
  refuseUnknown(fields, chatFields)
  const read = start(fields, 'chat')
  const messages = given<unknown[]>(fields, 'messages', arrayOf(object, 0, 100_000)) ?? []
  if (messages.length === 0) return read.request
  const tools = given<unknown[]>(fields, 'tools', arrayOf(object, 0, 1024)) ?? []
  return read.ask('chat', {
    messages: readMessages(messages),
    tools:
      tools.length === 0
        ? undefined
        : tools.map((tool, index) => readTool(tool as Fields, `tools[${index}].`)),
  })
}

/** @throws as readChat */
export function readGenerate(body: unknown): OllamaRequest {
  const fields = bodyFields(body)
  refuseListed(fields, cannotGenerate)
  refuseUnknown(fields, new Set([...generateFields, ...cannotGenerate.keys()]))
  const read = start(fields, 'generate')
  const prompt = given<string>(fields, 'prompt', text) ?? ''
  const system = given<string>(fields, 'system', text) ?? ''
  const suffix = given<string>(fields, 'suffix', text) ?? ''
  const images = given<string[]>(fields, 'images', arrayOf(filledText, 0, 64)) ?? []
  const raw = given<boolean>(fields, 'raw', boolean) ?? false
  if (prompt === '' && images.length === 0) return read.request
  if (raw || suffix !== '') {
    if (system !== '') refuse('system', 'left out when the prompt is taken as it is', system)
    if (images.length > 0) refuse('images', 'left out when the prompt is taken as it is', images)
    return read.ask('completion', { prompt, suffix: suffix === '' ? undefined : suffix })
  }
  const content =
    images.length === 0
      ? prompt
      : [{ type: 'text', text: prompt }, ...images.map((image) => imagePart(imageType(image), image))]
  const user = { role: 'user', content }
  return read.ask('chat', { messages: system === '' ? [user] : [{ role: 'system', content: system }, user] })
}

const texts: Check = (value, param) => {
  if (typeof value === 'string') filledText(value, param)
  else arrayOf(filledText, 1, 2048)(value, param)
}

/** @throws as readChat */
export function readEmbed(body: unknown): OllamaRequest {
  const fields = bodyFields(body)
  refuseUnknown(fields, embedFields)
  // Nothing is ever cut off in silence: too long an input is refused, whatever is said here.
  given(fields, 'truncate', boolean)
  const input = required(fields, 'input', texts)
  return embedding(fields, 'embed', {
    input,
    dimensions: given(fields, 'dimensions', integerBetween(1, 65_536)),
  })
}

/** @throws as readChat */
export function readEmbeddings(body: unknown): OllamaRequest {
  const fields = bodyFields(body)
  refuseUnknown(fields, embeddingsFields)
  return embedding(fields, 'embeddings', { input: required(fields, 'prompt', filledText) })
}

function embedding(fields: Fields, kind: Kind, more: Fields): OllamaRequest {
  const model = required<string>(fields, 'model', filledText)
  const { contextTokens } = readOptions(fields.options)
  const body: Fields = { model }
  put(body, more)
  return {
    kind,
    model,
    stream: false,
    keepAliveMs: readKeepAlive(fields.keep_alive),
    contextTokens,
    showThinking: false,
    translated: { endpoint: 'embedding', body, wishes: {}, names },
  }
}

/** What chat and generate share. */
function start(fields: Fields, kind: Kind) {
  const model = required<string>(fields, 'model', filledText)
  const stream = given<boolean>(fields, 'stream', boolean) ?? true
  const { parameters, contextTokens } = readOptions(fields.options)
  for (const name of ['truncate', 'shift']) given(fields, name, boolean)
  const thinking = readThink(fields.think)
  const request: OllamaRequest = {
    kind,
    model,
    stream,
    keepAliveMs: readKeepAlive(fields.keep_alive),
    contextTokens,
    showThinking: thinking.show,
    translated: null,
  }
  const logprobs = given<boolean>(fields, 'logprobs', boolean)
  const top = given<number>(fields, 'top_logprobs', integerBetween(0, 20))
  const shared: Fields = { model, ...parameters, ...thinking.parameters }
  put(shared, { stream: stream || undefined, response_format: readFormat(fields.format) })
  const wishes: Fields = { ...thinking.wishes }
  if (stream) wishes.stream_options = { include_usage: true }
  const ask = (endpoint: 'chat' | 'completion', content: Fields): OllamaRequest => {
    const body = { ...shared }
    put(body, content)
    if (endpoint === 'chat') put(body, { logprobs, top_logprobs: logprobs ? top : undefined })
    else if (logprobs) refuse('logprobs', 'left out when the prompt is taken as it is', logprobs)
    return {
      ...request,
      translated: { endpoint, body, wishes: endpoint === 'chat' ? wishes : usageOnly(wishes), names },
    }
  }
  return { request, ask }
}

/** A raw prompt goes through no chat template, so there is nothing to tell the template. */
function usageOnly(wishes: Fields): Fields {
  return wishes.stream_options === undefined ? {} : { stream_options: wishes.stream_options }
}

function readThink(value: unknown): { show: boolean; parameters: Fields; wishes: Fields } {
  if (value == null || value === '') return { show: true, parameters: {}, wishes: {} }
  if (value === 'low' || value === 'medium' || value === 'high') {
    return { show: true, parameters: { reasoning_effort: value }, wishes: {} }
  }
  if (typeof value !== 'boolean') refuse('think', 'true, false, "low", "medium" or "high"', value)
  return { show: value, parameters: {}, wishes: { chat_template_kwargs: { enable_thinking: value } } }
}

function readFormat(value: unknown): object | undefined {
  if (value == null || value === '') return undefined
  if (value === 'json') return { type: 'json_object' }
  if (!isObject(value)) refuse('format', '"json" or a JSON schema', value)
  return { type: 'json_schema', json_schema: { name: 'answer', schema: value } }
}

function readTool(tool: Fields, at: string): object {
  if (tool.type != null && tool.type !== 'function') refuse(`${at}type`, '"function"', tool.type)
  const described = objectAt(tool.function, `${at}function`)
  const inner = `${at}function.`
  const made: Fields = { name: required(described, 'name', functionName, inner) }
  put(made, {
    description: given(described, 'description', text, inner),
    parameters: given(described, 'parameters', object, inner),
  })
  return { type: 'function', function: made }
}
