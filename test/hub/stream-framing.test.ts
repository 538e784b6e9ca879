/** What goes over the wire of a stream, since the hub frames its chunks itself. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chat, type Stand, startStand } from './start-hub.ts'

let stand: Stand
beforeAll(async () => {
  stand = await startStand()
})
afterAll(() => stand.stop())

/** Sends requests on one connection and gives back all that comes until it closes. */
async function talk(...requests: string[]): Promise<string> {
  const { hostname, port } = new URL(stand.url)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.on('data', (data) => {
    text += data.toString()
  })
  socket.write(requests.join(''))
  await once(socket, 'close')
  return text
}

function post(version: string, connection: string): string {
  const body = JSON.stringify(chat('hello', { stream: true }))
  return `POST /v1/chat/completions HTTP/${version}\r\nhost: localhost\r\nconnection: ${connection}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

test('two streams on one connection, sent at once, are answered one after the other', async () => {
  const text = await talk(post('1.1', 'keep-alive'), post('1.1', 'close'))
  expect(text.match(/HTTP\/1\.1 200 OK\r\n/g)).toHaveLength(2)
  expect(text.match(/transfer-encoding: chunked\r\n/gi)).toHaveLength(2)
  expect(text.match(/data: \[DONE\]\n\n\r\n0\r\n\r\n/g)).toHaveLength(2)
})

test('a client of HTTP/1.0 gets no chunks, and the end of the connection as the end', async () => {
  const text = await talk(post('1.0', 'close'))
  expect(text).not.toMatch(/transfer-encoding/i)
  expect(text).toMatch(/\r\n\r\ndata: /)
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
})
