/**
 * Ollama's answer to /api/chat as OpenAI's: lines of JSON become events, and its nanoseconds become `timings` as
 * llama-server has them, which is what Holon reads of every engine.
 */
import { randomBytes } from 'node:crypto'
import { HolonError } from '../../core/errors.ts'
import { field, record, rows, text } from '../attached/read-json.ts'
import type { Translation } from '../attached-engine.ts'

type Fields = Record<string, unknown>

export function ollamaAnswer(asked: Fields): Translation {
  return new OllamaAnswer(asked)
}

class OllamaAnswer implements Translation {
  private readonly head: Fields
  private readonly withUsage: boolean
  private begun = false
  private calls = 0
  private whole_ = false

  constructor(asked: Fields) {
    this.withUsage = field(asked, 'stream_options', 'include_usage') === true
    this.head = {
      id: `chatcmpl-${randomBytes(12).toString('hex')}`,
      created: Math.floor(Date.now() / 1000),
      model: asked.model,
    }
  }

  line(line: string): string {
    if (line.trim() === '') return ''
    const said = parse(line)
    if (said.error !== undefined) {
      // The relay takes an error event as the end; Ollama sends nothing after it.
      this.whole_ = true
      return `data: ${JSON.stringify({ error: errorOf(said) })}\n\n`
    }
    const delta = this.deltaOf(record(said.message))
    let out = ''
    if (!this.begun || Object.keys(delta).length > 0) {
      const role = this.begun ? {} : { role: 'assistant' }
      this.begun = true
      out += this.event([{ index: 0, delta: { ...role, ...delta }, finish_reason: null }])
    }
    if (said.done !== true) return out
    this.whole_ = true
    const last = [{ index: 0, delta: {}, finish_reason: this.finishOf(said) }]
    const figures = figuresOf(said)
    out += this.event(last, this.withUsage ? {} : { timings: figures.timings })
    if (this.withUsage) out += this.event([], figures)
    return `${out}data: [DONE]\n\n`
  }

  end(): string {
    if (this.whole_) return ''
    throw new HolonError('engine_failed', 'Ollama ended its answer before it was complete.', {
      source: 'engine',
    })
  }

  whole(answer: unknown): unknown {
    const said = record(answer)
    if (said.done !== true) {
      throw new HolonError('engine_failed', 'Ollama ended its answer before it was complete.', {
        source: 'engine',
      })
    }
    const { content, ...rest } = this.deltaOf(record(said.message))
    const message = {
      role: 'assistant',
      content: content ?? (rest.tool_calls ? null : ''),
      ...withoutIndex(rest),
    }
    return {
      ...this.head,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: this.finishOf(said) }],
      ...figuresOf(said),
    }
  }

  private event(choices: Fields[], more: Fields = {}): string {
    return `data: ${JSON.stringify({ ...this.head, object: 'chat.completion.chunk', choices, ...more })}\n\n`
  }

  private deltaOf(message: Fields): Fields {
    const delta: Fields = {}
    if (text(message.content) !== null) delta.content = message.content
    if (text(message.thinking) !== null) delta.reasoning_content = message.thinking
    const calls = rows(message.tool_calls).map((call) => ({
      index: this.calls++,
      id: text(call.id) ?? `call_${randomBytes(8).toString('hex')}`,
      type: 'function',
      function: {
        name: text(field(call, 'function', 'name')) ?? '',
        arguments: JSON.stringify(field(call, 'function', 'arguments') ?? {}),
      },
    }))
    if (calls.length > 0) delta.tool_calls = calls
    return delta
  }

  private finishOf(said: Fields): string {
    if (said.done_reason === 'length') return 'length'
    return this.calls > 0 ? 'tool_calls' : 'stop'
  }
}

/** In a whole message tool calls have no index. */
function withoutIndex(rest: Fields): Fields {
  if (rest.tool_calls === undefined) return rest
  return { ...rest, tool_calls: rows(rest.tool_calls).map(({ index: _, ...call }) => call) }
}

/** A prompt that was in its cache is not counted by all of its versions, which leave the figure out. */
function figuresOf(said: Fields): Fields {
  const prompt = figure(said.prompt_eval_count)
  const written = figure(said.eval_count)
  const promptMs = figure(said.prompt_eval_duration) / 1e6
  const writtenMs = figure(said.eval_duration) / 1e6
  const perSecond = (count: number, ms: number): Fields =>
    count > 0 && ms > 0 ? { rate: (count * 1000) / ms } : {}
  const { rate: prefill } = perSecond(prompt, promptMs)
  const { rate: decode } = perSecond(written, writtenMs)
  return {
    usage: { prompt_tokens: prompt, completion_tokens: written, total_tokens: prompt + written },
    timings: {
      prompt_n: prompt,
      prompt_ms: promptMs,
      ...(prefill === undefined ? {} : { prompt_per_second: prefill }),
      predicted_n: written,
      predicted_ms: writtenMs,
      ...(decode === undefined ? {} : { predicted_per_second: decode }),
    },
  }
}

function figure(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0
}

function errorOf(said: Fields): Fields {
  const message = text(said.error) ?? text(field(said.error, 'message')) ?? 'Ollama broke off its answer.'
  return { message, type: 'server_error', param: null, code: 'engine_failed', source: 'engine' }
}

function parse(line: string): Fields {
  try {
    return record(JSON.parse(line))
  } catch (cause) {
    throw new HolonError('engine_failed', 'Ollama sent a line that is no JSON.', { source: 'engine', cause })
  }
}
