import { PassThrough, Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { eagerChunks } from './eager-chunks.ts'

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<{ text: string; error: unknown }> {
  let text = ''
  try {
    for await (const chunk of chunks) text += Buffer.from(chunk).toString()
  } catch (error) {
    return { text, error }
  }
  return { text, error: null }
}

it('gives every byte that came before the stream broke', async () => {
  const stream = new PassThrough()
  const chunks = eagerChunks(stream)
  stream.write('one ')
  stream.write('two')
  await new Promise((resolve) => setImmediate(resolve))
  stream.destroy(new Error('cut'))
  expect(await collect(chunks)).toEqual({ text: 'one two', error: new Error('cut') })
})

it('hears of an error that came before anyone looked', async () => {
  const stream = new PassThrough()
  const chunks = eagerChunks(stream)
  stream.destroy(new Error('early'))
  await new Promise((resolve) => setImmediate(resolve))
  expect((await collect(chunks)).error).toEqual(new Error('early'))
})

it('holds the source back when nobody takes the bytes', async () => {
  let produced = 0
  const stream = new Readable({
    highWaterMark: 64 * 1024,
    read() {
      produced += 1_000_000
      this.push(produced > 100_000_000 ? null : Buffer.alloc(1_000_000))
    },
  })
  const chunks = eagerChunks(stream)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(produced).toBeLessThan(20_000_000)
  let received = 0
  for await (const chunk of chunks) received += chunk.length
  expect(received).toBe(100_000_000)
})

it('closes the source when the reader leaves early', async () => {
  const stream = new PassThrough()
  const chunks = eagerChunks(stream)
  stream.write('one')
  for await (const chunk of chunks) {
    expect(Buffer.from(chunk).toString()).toBe('one')
    break
  }
  expect(stream.destroyed).toBe(true)
})
