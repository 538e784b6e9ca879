import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { HolonError } from '../../core/errors.ts'
import { type AnswerEnd, readChatStream } from '../chat-stream.ts'
import type { HubClient } from '../hub-client.ts'
import type { Printer } from '../printer.ts'
import type { Cli, Shell } from '../shell.ts'

interface RunOptions {
  system?: string
  json?: boolean
}

interface Message {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export function registerRun(program: Command, shell: Shell): void {
  program
    .command('run [model] [prompt...]')
    .description(
      'Chat in the terminal. With a prompt, or with text on stdin: one answer. Ctrl-C stops the answer.',
    )
    .option('--system <text>', 'system message')
    .option('--json', 'print one JSON document (one answer only)')
    .action(
      shell.action(async (cli, model: string | undefined, words: string[], options: RunOptions) => {
        const hub = cli.hub()
        const name = model ?? (await onlyModel(hub))
        const history: Message[] = options.system ? [{ role: 'system', content: options.system }] : []
        const piped = process.stdin.isTTY ? '' : (await text(process.stdin)).trim()
        const prompt = [words.join(' '), piped].filter(Boolean).join('\n\n')
        if (prompt) return oneAnswer(cli, hub, name, [...history, { role: 'user', content: prompt }])
        if (!process.stdin.isTTY || cli.printer.json) {
          throw new HolonError('usage', 'There is nothing to ask.', {
            hint: 'Give a prompt: `holon run MODEL "your question"`.',
          })
        }
        return converse(cli.printer, hub, name, history)
      }),
    )
}

async function onlyModel(hub: HubClient): Promise<string> {
  const { data } = await hub.get<{ data: { id: string }[] }>('/v1/models')
  const [first] = data
  if (data.length === 1 && first) return first.id
  const names = data.map((model) => model.id).join(', ')
  throw new HolonError('usage', 'Say which model to talk to.', {
    hint: names ? `There are ${names}.` : 'Get one with `holon pull`.',
  })
}

async function oneAnswer(
  { printer }: Cli,
  hub: HubClient,
  model: string,
  messages: Message[],
): Promise<number> {
  let answer = ''
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  try {
    const end = await ask(hub, model, messages, stop.signal, printer, (piece) => {
      answer += piece
      printer.write(piece)
    })
    if (printer.json) printer.document({ model, answer, ...end })
    else printer.line()
    return 0
  } catch (error) {
    if (!stop.signal.aborted) throw error
    printer.line()
    return 1
  }
}

/** The chat loop. Ctrl-C stops an answer; at the prompt it ends the chat, as Ctrl-D does. */
async function converse(
  printer: Printer,
  hub: HubClient,
  model: string,
  history: Message[],
): Promise<number> {
  printer.note(`Chatting with ${model}. Ctrl-C stops an answer; Ctrl-D ends the chat.`)
  const reader = createInterface({ input: process.stdin, output: process.stdout, historySize: 200 })
  let answering: AbortController | null = null
  let over = false
  reader.on('SIGINT', () => (answering ? answering.abort() : reader.close()))
  reader.on('close', () => {
    over = true
    answering?.abort()
  })
  while (!over) {
    const question = await nextLine(reader)
    if (question === null) break
    if (!question.trim()) continue
    history.push({ role: 'user', content: question })
    answering = new AbortController()
    let answer = ''
    try {
      const end = await ask(hub, model, history, answering.signal, printer, (piece) => {
        answer += piece
        printer.write(piece)
      })
      printer.line()
      printer.note(summary(end))
    } catch (error) {
      if (answering.signal.aborted) printer.note('\n(stopped)')
      else if (error instanceof HolonError) printer.error(error)
      else throw error
    }
    answering = null
    if (answer) history.push({ role: 'assistant', content: answer })
    else history.pop()
  }
  reader.close()
  printer.line()
  return 0
}

/** The next line, or null at the end of input. `question()` alone would never settle once the input closes. */
function nextLine(reader: ReturnType<typeof createInterface>): Promise<string | null> {
  return new Promise((resolve) => {
    const onClose = () => resolve(null)
    reader.once('close', onClose)
    reader
      .question('> ')
      .then(resolve, () => resolve(null))
      .finally(() => reader.removeListener('close', onClose))
  })
}

async function ask(
  hub: HubClient,
  model: string,
  messages: Message[],
  signal: AbortSignal,
  printer: Printer,
  onText: (piece: string) => void,
): Promise<AnswerEnd> {
  const body = { model, messages, stream: true, stream_options: { include_usage: true } }
  let waiting = printer.interactive ? printer.progress(model) : null
  try {
    const response = await hub.open('/v1/chat/completions', body, signal)
    return await readChatStream(
      response,
      (piece) => {
        waiting?.stop()
        waiting = null
        onText(piece)
      },
      (comment) => waiting?.update(null, comment.trim()),
    )
  } finally {
    waiting?.stop()
  }
}

function summary(end: AnswerEnd): string {
  const parts = [
    end.completionTokens === null ? null : `${end.completionTokens} tokens`,
    end.decodeTokS === null ? null : `${end.decodeTokS.toFixed(1)} tok/s`,
    end.ttftS === null ? null : `first token after ${(end.ttftS * 1000).toFixed(0)} ms`,
    end.finishReason === 'length' ? 'cut at the token limit' : null,
  ]
  return `(${parts.filter(Boolean).join(', ')})`
}
