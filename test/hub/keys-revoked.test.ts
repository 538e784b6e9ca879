/** Keys that are revoked, or expire: at once, with a clear last word, in every dialect and wherever the answer is. */
import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../src/core/clock.ts'
import type { KeyInfo } from '../../src/protocol/keys.ts'
import { as, make, manage, owner, path, shareStand, stand, start } from './key-stand.ts'
import { chat, errorOf } from './start-hub.ts'

shareStand()

describe('revoking', () => {
  test('ends a stream in its middle with a clear error, frees the engine, and lets nobody in', async () => {
    const { key, info } = await make({ label: 'leaked' })
    const stream = await stand.post(path, chat('!stall', { stream: true }), as(key))
    const text = stream.text()
    await expect.poll(() => stand.engine.inFlight).toBe(1)
    const answer = await manage<{ ended: number }>('/fleet/v1/keys/revoke', { key: 'leaked' })
    expect(answer.ended).toBe(1)
    const told = await text
    expect(told).toContain('"code":"invalid_api_key"')
    expect(told).toContain('was revoked')
    expect(told).not.toContain('[DONE]')
    await expect.poll(() => stand.engine.inFlight).toBe(0)
    await expect.poll(() => stand.node.held).toBe(0)
    const after = await stand.post(path, chat('hello'), as(key))
    expect(after.status).toBe(401)
    expect((await errorOf(after)).error.message).toContain('The API key "leaked" was revoked')
    const { usage } = await manage<{ usage: { keyId: string; errors: number }[] }>('/fleet/v1/keys/usage')
    expect(usage.find(({ keyId }) => keyId === info.id)?.errors).toBe(1)
    const again = await stand.post('/fleet/v1/keys/revoke', { key: info.id }, as(owner))
    expect(again.status).toBe(400)
  })

  test('ends whole answers, those that wait, and those of other dialects', async () => {
    await start()
    stand.node.parallel = 2
    const { key } = await make({ label: 'leaked' })
    const answers = [
      stand.post(path, chat('!hang'), as(key)),
      stand.post('/api/chat', chat('!stall', { stream: true }), as(key)),
      stand.post(path, chat('hello'), as(key)),
      stand.post(
        '/v1/messages',
        { model: 'tiny', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'x' }] },
        as(key),
      ),
    ]
    await expect.poll(() => stand.engine.inFlight).toBe(2)
    await expect
      .poll(async () => (await manage<{ lines: { waiting: number }[] }>('/fleet/v1/queue')).lines[0]?.waiting)
      .toBe(2)
    await manage('/fleet/v1/keys/revoke', { key: 'leaked' })
    const [whole, ollama, waiting, anthropic] = await Promise.all(answers)
    expect(whole?.status).toBe(401)
    expect(waiting?.status).toBe(401)
    expect(anthropic?.status).toBe(401)
    expect((await ollama?.text())?.trim().split('\n').at(-1)).toMatch(/^\{"error":.*revoked/)
    await expect.poll(() => stand.engine.inFlight).toBe(0)
    expect((await manage<{ lines: unknown[] }>('/fleet/v1/queue')).lines).toEqual([])
  })

  test('of an admin key ends the feed of events that it reads', async () => {
    const { key, info } = await make({ label: 'watcher', admin: true })
    const feed = await fetch(`${stand.url}/fleet/v1/events`, as(key))
    const ended = expect(feed.text()).rejects.toThrow()
    expect(feed.status).toBe(200)
    await manage('/fleet/v1/keys/revoke', { key: info.id })
    await ended
  })

  test('of one that is forgotten takes it from the list, and a good one is not forgotten', async () => {
    const { info } = await make({ label: 'old' })
    expect((await stand.post('/fleet/v1/keys/forget', { key: 'old' }, as(owner))).status).toBe(400)
    await manage('/fleet/v1/keys/revoke', { key: info.id })
    await manage('/fleet/v1/keys/forget', { key: info.id })
    const { keys } = await manage<{ keys: KeyInfo[] }>('/fleet/v1/keys')
    expect(keys.some(({ id }) => id === info.id)).toBe(false)
  })

  test('by a label that two keys have asks which', async () => {
    await make({ label: 'twin' })
    await make({ label: 'twin' })
    const response = await stand.post('/fleet/v1/keys/revoke', { key: 'twin' }, as(owner))
    expect(response.status).toBe(400)
    expect((await errorOf(response)).error.message).toContain('2 keys are labelled "twin"')
  })
})

describe('expiring', () => {
  test('ends a stream in its middle, what waits and the feed of events, as revoking does', async () => {
    const clock = new FakeClock(Date.now())
    await start({}, [], clock)
    stand.node.parallel = 1
    const { key } = await make({ label: 'short', admin: true, expiresInS: 60 })
    const { key: later } = await make({ label: 'longer', expiresInS: 7200 })
    const stream = stand.post(path, chat('!stall', { stream: true }), as(key)).then((answer) => answer.text())
    await expect.poll(() => stand.engine.inFlight).toBe(1)
    const waiting = stand.post(path, chat('hello'), as(key))
    const staying = stand.post(path, chat('hello'), as(later))
    const feed = await fetch(`${stand.url}/fleet/v1/events`, as(key))
    const fed = expect(feed.text()).rejects.toThrow()
    await expect
      .poll(async () => (await manage<{ lines: { waiting: number }[] }>('/fleet/v1/queue')).lines[0]?.waiting)
      .toBe(2)
    clock.advance(59_000)
    expect(stand.engine.inFlight).toBe(1)
    clock.advance(1_000)
    const told = await stream
    expect(told).toContain('"code":"invalid_api_key"')
    expect(told).toContain('The API key \\"short\\" has expired.')
    expect(told).not.toContain('[DONE]')
    expect((await waiting).status).toBe(401)
    await fed
    expect((await staying).status).toBe(200)
    await expect.poll(() => stand.node.held).toBe(0)
    expect((await stand.post(path, chat('hello'), as(later))).status).toBe(200)
    expect((await stand.post(path, chat('hello'), as(key))).status).toBe(401)
  })
})
