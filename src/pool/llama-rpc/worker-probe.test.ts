import { createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { bind } from '../wire/listen.ts'
import { probeIdleWorker } from './worker-probe.ts'

/** What is asked of something that listens and does `serve` with each connection. */
async function probed(serve: (socket: Socket) => void): Promise<unknown> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    serve(socket)
  })
  const port = await bind(server, '127.0.0.1')
  try {
    return await probeIdleWorker('127.0.0.1', port)
  } finally {
    server.close()
  }
}

const answer = (payload: number[]): Buffer => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(payload.length))
  return Buffer.concat([length, Buffer.from(payload)])
}

test('a worker says its protocol and its devices, and is left by an end', async () => {
  let ended = false
  const said = await probed((socket) => {
    socket.once('data', () => {
      socket.write(answer([7, 0, 1]))
      socket.once('data', () => socket.write(answer([2, 0, 0, 0])))
    })
    socket.on('end', () => {
      ended = true
    })
  })
  expect(said).toEqual({ protocol: '7.0.1', devices: 2 })
  expect(ended).toBe(true)
})

test.each<[string, (socket: Socket) => void]>([
  ['closes at once', (socket) => socket.end()],
  ['dies of the question without a word', (socket) => socket.once('data', () => socket.end())],
  ['resets', (socket) => socket.once('data', () => socket.resetAndDestroy())],
  ['dies of the second question', (socket) => socket.once('data', () => socket.end(answer([7, 0, 1])))],
  ['says something else', (socket) => socket.once('data', () => socket.end(answer([1])))],
])('what %s is no worker, and nobody waits for it', async (_, serve) => {
  expect(await probed(serve)).toBeNull()
})
