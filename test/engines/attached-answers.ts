import { expect, test } from 'vitest'
import { type AttachedStand, eventsOf } from './attached-stand.ts'

/** What must hold of every engine, whatever it is. */
export function answersLikeAny(its: () => { holon: AttachedStand; model: string }): void {
  test('the model is proven and listed, with a file name no caller has to know', async () => {
    const { holon, model } = its()
    await holon.until('the model to be proven', () => holon.model(model)?.state === 'ready')
    expect(holon.model(model)).toMatchObject({ engine: holon.engine.id, problem: null, failure: null })
  })

  test('answers whole with usage, under the name that was asked for', async () => {
    const { holon, model } = its()
    const response = await holon.chat(model, 'Hello', { max_tokens: 5, temperature: 0 })
    const answer = (await response.json()) as { model: string; usage: { completion_tokens: number } }
    expect(response.status).toBe(200)
    expect(answer.model).toBe(model)
    expect(answer.usage.completion_tokens).toBeGreaterThan(0)
  })

  test('streams to the end, under that name, with usage when asked', async () => {
    const { holon, model } = its()
    const more = { stream: true, max_tokens: 5, stream_options: { include_usage: true } }
    const { events, done } = await eventsOf(await holon.chat(model, 'Hello', more))
    expect(done).toBe(true)
    expect(events.every((event) => event.model === model)).toBe(true)
    expect(events.at(-1)?.usage?.completion_tokens).toBeGreaterThan(0)
  })

  test('a caller that leaves is not waited for', async () => {
    const { holon, model } = its()
    const leaver = new AbortController()
    const messages = [{ role: 'user', content: 'Hello' }]
    const body = { model, stream: true, max_tokens: 1500, messages }
    const response = await holon.post('/v1/chat/completions', body, leaver.signal)
    await response.body!.getReader().read()
    leaver.abort()
    await holon.until('the lease to be released', () => holon.agent.ps()[0]?.active === 0)
    expect((await holon.chat(model, 'Hello', { max_tokens: 1 })).status).toBe(200)
  })
}
