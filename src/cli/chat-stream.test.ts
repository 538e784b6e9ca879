import { expect, test } from 'vitest'
import { readChatStream } from './chat-stream.ts'

const stream = (...parts: string[]) => new Response(new Blob(parts).stream())
const delta = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`

test('text comes piece by piece, and the end tells tokens and speed', async () => {
  let text = ''
  const last = JSON.stringify({
    choices: [{ delta: {}, finish_reason: 'stop' }],
    usage: { completion_tokens: 2 },
    timings: { predicted_per_second: 12.5 },
  })
  const response = stream(
    ': loading 40 %\n\n',
    delta('Hel'),
    delta('lo'),
    `data: ${last}\n\n`,
    'data: [DONE]\n\n',
  )
  const comments: string[] = []
  const end = await readChatStream(
    response,
    (piece) => (text += piece),
    (comment) => comments.push(comment),
  )
  expect(text).toBe('Hello')
  expect(comments).toEqual(['loading 40 %'])
  expect(end).toMatchObject({ finishReason: 'stop', completionTokens: 2, decodeTokS: 12.5 })
})

test('a character that arrives in two halves stays whole', async () => {
  const bytes = new TextEncoder().encode(`${delta('ä→😀')}data: [DONE]\n\n`)
  const body = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]))
      controller.close()
    },
  })
  let text = ''
  await readChatStream(
    new Response(body),
    (piece) => (text += piece),
    () => undefined,
  )
  expect(text).toBe('ä→😀')
})

test('an error in the stream, and a stream that just ends, are errors', async () => {
  const failing = stream(delta('Hel'), 'data: {"error":{"message":"The engine died."}}\n\n')
  await expect(
    readChatStream(
      failing,
      () => undefined,
      () => undefined,
    ),
  ).rejects.toThrow('The engine died.')
  await expect(
    readChatStream(
      stream(delta('Hel')),
      () => undefined,
      () => undefined,
    ),
  ).rejects.toThrow('broke off')
})
