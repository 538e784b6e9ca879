import { afterEach, expect, test } from 'vitest'
import type { TunnelDialer } from '../../src/tunnel/dial.ts'
import { dialTo, startHub, type TestHub, until } from './harness.ts'

const open: { stop?(): Promise<void>; close?(): Promise<void> }[] = []
const keep = <T extends TestHub | TunnelDialer>(each: T): T => {
  open.push(each)
  return each
}
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await (each.stop?.() ?? each.close?.())
})

test('a request goes through and comes back', async () => {
  const hub = keep(await startHub())
  keep(dialTo(hub, 'm1'))
  const session = await hub.next()
  const answer = await session.request({ path: '/a?b=c', method: 'POST', body: 'hello' })
  expect(answer.statusCode).toBe(200)
  expect(answer.headers['x-path']).toBe('/a?b=c')
  expect(await answer.body.text()).toBe('hello')
  expect(session.stats()).toMatchObject({ openStreams: 0, requests: 1 })
})

test.each([0, 5])(
  'an answer the node breaks off after %i bytes is an error, never a whole answer',
  async (n) => {
    const hub = keep(await startHub())
    keep(
      dialTo(hub, 'm1', {
        handler: (_, response) => {
          response.stream.respond({ ':status': 200 })
          if (n > 0) response.stream.write('x'.repeat(n))
          setTimeout(() => response.stream.destroy(), 50)
        },
      }),
    )
    const session = await hub.next()
    const answer = await session.request({ path: '/', method: 'GET' })
    await expect(answer.body.text()).rejects.toMatchObject({ code: 'tunnel_lost' })
  },
)

test('a caller who leaves is seen by the node', async () => {
  const hub = keep(await startHub())
  let closed = 0
  keep(
    dialTo(hub, 'm1', {
      handler: (request, response) => {
        request.on('aborted', () => {
          closed += 1
        })
        response.on('close', () => {
          closed += 1
        })
        response.write('x')
      },
    }),
  )
  const session = await hub.next()
  const abort = new AbortController()
  const answer = await session.request({ path: '/', method: 'GET', signal: abort.signal })
  abort.abort()
  await expect(answer.body.text()).rejects.toThrow()
  await until(() => closed === 2, 'the node saw the cancel')
  expect(session.stats().openStreams).toBe(0)
})
