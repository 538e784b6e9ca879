import { expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { enrolByDevice, enrolByToken } from './enrol.ts'

const admitted = { nodeId: 'node_1', name: 'studio', credential: 'hnode_0123456789abcdef' }
const code = {
  device_code: 'hdev_secret',
  user_code: 'WDJB-MJHT',
  verification_uri: 'http://hub/device',
  expires_in: 600,
  interval: 5,
}
type Reply = { status: number; body: unknown } | 'unreachable'

/** A hub that gives these replies in turn, on a clock of its own; and the spans between the questions. */
function hubThatSays(replies: Reply[], clock = new FakeClock(0)) {
  const asked: { path: string; at: number; body: Record<string, unknown> }[] = []
  const answer: typeof fetch = async (input, init) => {
    const body = JSON.parse(String(init?.body)) as Record<string, unknown>
    asked.push({ path: new URL(String(input)).pathname, at: clock.now(), body })
    const reply = replies.shift()
    if (!reply || reply === 'unreachable') throw new TypeError('fetch failed')
    return new Response(JSON.stringify(reply.body), { status: reply.status })
  }
  return { asked, fetch: answer, clock }
}

async function join(hub: ReturnType<typeof hubThatSays>, signal = new AbortController().signal) {
  const shown: string[] = []
  let over = false
  const joining = enrolByDevice({
    hub: 'http://hub',
    name: 'studio',
    signal,
    clock: hub.clock,
    fetch: hub.fetch,
    onCode: ({ user_code }) => shown.push(user_code),
  }).finally(() => {
    over = true
  })
  joining.catch(() => undefined)
  for (let at = 0; at < 10_000 && !over; at++) {
    await new Promise((resolve) => setImmediate(resolve))
    hub.clock.advance(500)
  }
  return { joining, shown, gaps: hub.asked.slice(1).map(({ at }, i) => at - (hub.asked[i]?.at ?? 0)) }
}
const pending = { status: 400, body: { error: 'authorization_pending' } }
const begun = { status: 200, body: code }

test('asks at the interval it was told, and comes in when it is approved', async () => {
  const hub = hubThatSays([begun, pending, pending, { status: 200, body: admitted }])
  const { joining, shown, gaps } = await join(hub)
  expect(await joining).toEqual(admitted)
  expect(shown).toEqual(['WDJB-MJHT'])
  for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(5_000)
  expect(hub.asked[1]?.body).toMatchObject({ device_code: 'hdev_secret' })
})

test('slows down when it is told to, for good', async () => {
  const slow = { status: 400, body: { error: 'slow_down' } }
  const hub = hubThatSays([begun, slow, slow, pending, { status: 200, body: admitted }])
  const { joining, gaps } = await join(hub)
  await joining
  expect(gaps[1]).toBeGreaterThanOrEqual(10_000)
  expect(gaps[2]).toBeGreaterThanOrEqual(15_000)
  expect(gaps[3]).toBeGreaterThanOrEqual(15_000)
})

test('bears a hub that is away for a moment, and a proxy’s page in its place', async () => {
  const hub = hubThatSays([
    begun,
    'unreachable',
    { status: 502, body: 'Bad Gateway' },
    { status: 200, body: admitted },
  ])
  expect(await (await join(hub)).joining).toEqual(admitted)
})

test('whatever its clock says, spans alone count', async () => {
  for (const start of [0, 4e12]) {
    const hub = hubThatSays([begun, pending, { status: 200, body: admitted }], new FakeClock(start))
    expect(await (await join(hub)).joining).toEqual(admitted)
  }
})

test('says that it was turned away, that it took too long, and that there is no hub', async () => {
  const denied = hubThatSays([begun, { status: 400, body: { error: 'access_denied' } }])
  await expect((await join(denied)).joining).rejects.toMatchObject({ code: 'join_denied' })
  const late = hubThatSays([begun, ...Array.from({ length: 200 }, () => pending)])
  await expect((await join(late)).joining).rejects.toMatchObject({ code: 'join_expired' })
  expect(late.asked.length).toBeLessThan(125)
  await expect((await join(hubThatSays([]))).joining).rejects.toMatchObject({ code: 'hub_unreachable' })
})

test('stops when it is told to', async () => {
  const stop = new AbortController()
  stop.abort(new Error('Ctrl-C'))
  await expect((await join(hubThatSays([begun]), stop.signal)).joining).rejects.toThrow('Ctrl-C')
})

test('a token’s refusal is told in the hub’s own words, and nonsense as what it is', async () => {
  const refused = { status: 409, body: { error: { code: 'join_token_used', message: 'Used already.' } } }
  const byToken = (reply: Reply) =>
    enrolByToken({
      hub: 'http://hub',
      name: 'studio',
      token: 'hjoin_x',
      signal: new AbortController().signal,
      fetch: hubThatSays([reply]).fetch,
    })
  await expect(byToken(refused)).rejects.toMatchObject({ code: 'join_token_used', message: 'Used already.' })
  for (const body of [null, 'no', { nodeId: '../..', name: 'x', credential: 'x'.repeat(30) }]) {
    await expect(byToken({ status: 200, body })).rejects.toMatchObject({ code: 'hub_unreachable' })
  }
})
