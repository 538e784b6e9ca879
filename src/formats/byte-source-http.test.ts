import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { httpByteSource } from './byte-source-http.ts'
import { readGguf } from './gguf/read-gguf.ts'
import { writeGguf } from './gguf/write-gguf.ts'

const servers: Server[] = []
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

const file = writeGguf({
  metadata: { 'general.architecture': 'llama' },
  tensors: [{ name: 'w', shape: [256, 5000], type: 'F16' }],
})
const ranges: RequestListener = (request, response) => {
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
  const start = Number(from)
  if (start >= file.length) {
    response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
    return
  }
  const end = Math.min(Number(to), file.length - 1)
  response.writeHead(206, { 'content-range': `bytes ${start}-${end}/${file.length}` })
  response.end(file.subarray(start, end + 1))
}

it('describes a model on a server by reading its first bytes only', async () => {
  let sent = 0
  const origin = await serve((request, response) => {
    sent += 1
    ranges(request, response)
  })
  const header = await readGguf(httpByteSource(`${origin}/model.gguf`))
  expect(header.fileBytes).toBe(file.length)
  expect(sent).toBe(1)
})

it('sends the credential to the host that was named and not to where it redirects', async () => {
  const seen: (string | undefined)[] = []
  const cdn = await serve((request, response) => {
    seen.push(request.headers.authorization)
    ranges(request, response)
  })
  const hub = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(302, { location: `${cdn}/blob` }).end()
  })
  await readGguf(httpByteSource(`${hub}/model.gguf`, { headers: { authorization: 'Bearer secret' } }))
  expect(seen).toEqual(['Bearer secret', undefined])
})

it('says so when the server ignores ranges, fails, stalls or is not there', async () => {
  const whole = await serve((_, response) => response.end(file))
  const failing = await serve((_, response) => response.writeHead(403).end())
  const silent = await serve(() => undefined)
  const read = (url: string) => httpByteSource(url, { timeoutMs: 200 }).read(0, 10)
  await expect(read(`${whole}/m?token=abc`)).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringMatching(/byte ranges/),
  })
  await expect(read(`${whole}/m?token=abc`)).rejects.not.toMatchObject({
    message: expect.stringMatching(/abc/),
  })
  await expect(read(failing)).rejects.toThrow('403')
  await expect(read(silent)).rejects.toThrow('in time')
  await expect(read('http://127.0.0.1:1/m')).rejects.toMatchObject({ code: 'download_failed' })
})

it('takes no more than was asked for from a server that sends more', async () => {
  const origin = await serve((_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-9/1000000' }).end(file)
  })
  expect((await httpByteSource(origin).read(0, 10)).length).toBe(10)
})
