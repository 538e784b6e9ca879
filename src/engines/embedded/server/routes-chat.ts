import { newId } from '../../../core/ids.ts'
import { chatParameters } from '../parameters.ts'
import { type AnswerEnd, runAnswer, timingsOf, usageOf } from './answer.ts'
import { type Constraints, constraintsOf } from './constraints.ts'
import { type Body, badParameter, booleanAt, integerIn, objectAt, refuseUnknown } from './fields.ts'
import { EventStream, type Exchange, sendJson } from './http.ts'
import type { LoadedModel } from './load.ts'
import { type ChatTokenLogprob, chatLogprobs } from './logprobs.ts'
import { readMessages } from './messages.ts'
import type { Logprobs } from './sampling.ts'
import { readSettings, type Settings } from './settings.ts'
import type { Delta, OutputParser } from './tools/output-parser.ts'

/** POST /v1/chat/completions in OpenAI's shapes, plus llama-server's `timings` on the last object. */
interface ChatRequest {
  settings: Settings
  prompt: number[]
  promptText: string
  logprobs: number | null
  constraints: Constraints
}

interface Shape {
  id: string
  created: number
  model: string
}

export function chatRoute(loaded: LoadedModel): (exchange: Exchange) => Promise<void> {
  return async (exchange) => {
    const request = readRequest(loaded, exchange.body)
    const shape = { id: newId('chatcmpl'), created: Math.floor(Date.now() / 1000), model: loaded.id }
    if (request.settings.stream) await stream(loaded, exchange, request, shape)
    else await whole(loaded, exchange, request, shape)
  }
}

/** The prompt a chat request becomes, also for /apply-template. */
export function renderChat(loaded: LoadedModel, body: Body): { text: string; constraints: Constraints } {
  const messages = readMessages(body)
  const constraints = constraintsOf(loaded, body)
  // An unfinished assistant message at the end is continued, not answered: that is how a broken answer goes on.
  const last = messages.at(-1)
  const unfinished = last?.role === 'assistant' && !last.tool_calls ? last : null
  const variables = objectAt(body, 'chat_template_kwargs')
  const text = loaded.template.render({
    messages: constraints.prepare(unfinished ? messages.slice(0, -1) : messages),
    tools: constraints.templateTools,
    variables,
  })
  return { text: text + (unfinished?.content ?? ''), constraints }
}

function readRequest(loaded: LoadedModel, body: Body): ChatRequest {
  refuseUnknown(body, chatParameters)
  const settings = readSettings(body, loaded)
  const wanted = booleanAt(body, 'logprobs') ?? false
  const top = integerIn(body, 'top_logprobs', 0, 20)
  if (top !== undefined && !wanted) {
    throw badParameter('top_logprobs', 'top_logprobs may be given only with "logprobs": true.')
  }
  const { text, constraints } = renderChat(loaded, body)
  return {
    settings,
    prompt: loaded.vocabulary.tokenizePrompt(text),
    promptText: text,
    logprobs: wanted ? (top ?? 0) : null,
    constraints,
  }
}

interface ChoiceSink {
  onPrompt?(choice: number): void
  onDelta(choice: number, delta: Delta, logprobs: ChatTokenLogprob[]): void
}

interface ChoiceEnd {
  outcome: AnswerEnd
  finish: 'stop' | 'length' | 'tool_calls'
}

async function runChoices(
  loaded: LoadedModel,
  request: ChatRequest,
  signal: AbortSignal,
  sink: ChoiceSink,
): Promise<ChoiceEnd[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const runs = Array.from({ length: request.settings.choices }, (_, choice) =>
    runChoice(loaded, request, choice, either, sink),
  )
  try {
    return await Promise.all(runs)
  } catch (cause) {
    // One choice failed: the others would answer nobody.
    failed.abort(cause)
    await Promise.allSettled(runs)
    throw cause
  }
}

async function runChoice(
  loaded: LoadedModel,
  request: ChatRequest,
  choice: number,
  signal: AbortSignal,
  sink: ChoiceSink,
): Promise<ChoiceEnd> {
  const { settings, constraints } = request
  const parser: OutputParser = constraints.createParser(request.promptText)
  let waiting: ChatTokenLogprob[] = []
  const deliver = (deltas: Delta[]): void => {
    for (const delta of deltas) {
      sink.onDelta(choice, delta, waiting)
      waiting = []
    }
  }
  const outcome = await runAnswer(loaded, {
    prompt: request.prompt,
    sampling: { ...settings.sampling, seed: (settings.sampling.seed + choice) >>> 0 },
    maxTokens: settings.maxTokens,
    stop: settings.stop,
    grammar: constraints.grammar,
    logprobs: request.logprobs,
    visible: constraints.visible,
    signal,
    onPrompt: () => sink.onPrompt?.(choice),
    onText: (text: string, logprobs: Logprobs[]) => {
      if (logprobs.length > 0) waiting.push(...chatLogprobs(loaded.vocabulary, logprobs))
      deliver(parser.push(text))
      return constraints.single && parser.callEnded ? 'stop' : 'go'
    },
  })
  deliver(parser.end())
  const called = parser.calls > 0 && outcome.finish === 'stop'
  return { outcome, finish: called ? 'tool_calls' : outcome.finish }
}

async function stream(
  loaded: LoadedModel,
  exchange: Exchange,
  request: ChatRequest,
  shape: Shape,
): Promise<void> {
  const events = new EventStream(exchange.response)
  const withUsage = request.settings.includeUsage
  const chunk = (choices: object[]): object => ({
    ...shape,
    object: 'chat.completion.chunk',
    choices,
    ...(withUsage ? { usage: null } : {}),
  })
  const withLogprobs = request.logprobs !== null
  const ends = await runChoices(loaded, request, exchange.signal, {
    onPrompt: (index) => {
      const delta = { role: 'assistant', content: '' }
      events.send(chunk([{ index, delta, logprobs: null, finish_reason: null }]))
    },
    onDelta: (index, delta, logprobs) => {
      const entry = withLogprobs && logprobs.length > 0 ? { content: logprobs, refusal: null } : null
      events.send(chunk([{ index, delta, logprobs: entry, finish_reason: null }]))
    },
  })
  const outcomes = ends.map((end) => end.outcome)
  const timings = timingsOf(outcomes)
  for (const [index, end] of ends.entries()) {
    const last = chunk([{ index, delta: {}, logprobs: null, finish_reason: end.finish, ...stopOf(end) }])
    const isFinal = index === ends.length - 1 && !withUsage
    events.send(isFinal ? { ...last, timings } : last)
  }
  if (withUsage) {
    events.send({
      ...shape,
      object: 'chat.completion.chunk',
      choices: [],
      usage: usageOf([outcomes]),
      timings,
    })
  }
  events.done()
}

async function whole(
  loaded: LoadedModel,
  exchange: Exchange,
  request: ChatRequest,
  shape: Shape,
): Promise<void> {
  const collected = Array.from({ length: request.settings.choices }, () => new MessageCollector())
  const ends = await runChoices(loaded, request, exchange.signal, {
    onDelta: (choice, delta, logprobs) => collected[choice]?.add(delta, logprobs),
  })
  const choices = ends.map((end, index) => ({
    index,
    message: collected[index]?.message(),
    logprobs: request.logprobs === null ? null : { content: collected[index]?.logprobs, refusal: null },
    finish_reason: end.finish,
    ...stopOf(end),
  }))
  const outcomes = ends.map((end) => end.outcome)
  sendJson(exchange.response, {
    ...shape,
    object: 'chat.completion',
    choices,
    usage: usageOf([outcomes]),
    timings: timingsOf(outcomes),
  })
}

/** Which stop string ended it, in vLLM's word for it: Anthropic's callers are told. */
function stopOf({ outcome, finish }: ChoiceEnd): { stop_reason?: string } {
  return finish === 'stop' && outcome.stopText !== null ? { stop_reason: outcome.stopText } : {}
}

/** Puts the deltas of one choice back together. */
class MessageCollector {
  private content = ''
  private reasoning = ''
  private readonly calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] =
    []
  readonly logprobs: ChatTokenLogprob[] = []

  add(delta: Delta, logprobs: ChatTokenLogprob[]): void {
    this.logprobs.push(...logprobs)
    if (delta.content) this.content += delta.content
    if (delta.reasoning_content) this.reasoning += delta.reasoning_content
    for (const call of delta.tool_calls ?? []) {
      const known = this.calls[call.index]
      if (known) known.function.arguments += call.function.arguments ?? ''
      else {
        this.calls[call.index] = {
          id: call.id ?? '',
          type: 'function',
          function: { name: call.function.name ?? '', arguments: call.function.arguments ?? '' },
        }
      }
    }
  }

  message(): object {
    const content = this.content === '' && this.calls.length > 0 ? null : this.content
    const reasoning = this.reasoning === '' ? {} : { reasoning_content: this.reasoning }
    const message = { role: 'assistant', content, ...reasoning, refusal: null }
    return this.calls.length > 0 ? { ...message, tool_calls: this.calls } : message
  }
}
