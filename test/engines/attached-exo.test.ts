import { afterEach, describe, expect, test } from 'vitest'
import { type AttachedStand, attach, eventsOf, startFake, wordsOf } from './attached-stand.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})
async function stand(...args: string[]): Promise<AttachedStand> {
  const program = await startFake('fake-exo.mjs', ...args)
  open.push(program.stop)
  const holon = await attach('exo', program.url)
  open.push(holon.close)
  return holon
}
const qwen = 'mlx-community/Qwen3-30B-A3B-4bit'
const deepseek = 'mlx-community/DeepSeek-V3.1-8bit'

describe('an exo that was already there', () => {
  test('offers what it has downloaded, places it on the fewest machines, and takes it away', async () => {
    const holon = await stand()
    expect(holon.agent.state().models.map(({ id, state }) => [id, state])).toEqual([
      [qwen, 'disk'],
      [deepseek, 'disk'],
    ])
    const seen: string[] = []
    const lease = await holon.agent.acquire(qwen, {
      signal: new AbortController().signal,
      onProgress: ({ phase, percent }) => seen.push(`${phase} ${percent}`),
    })
    expect(seen).toContain('loading in exo 25')
    lease.release()
    expect(holon.model(qwen)?.state).toBe('ready')
    const state = (await (await fetch(`${holon.engine.url}/state/instances`)).json()) as object
    expect(Object.keys(state)).toEqual(['one'])
    await holon.agent.unload(qwen)
    expect(holon.model(qwen)?.state).toBe('disk')
  })

  test('answers in OpenAI chunks, and with no more tokens than were asked for', async () => {
    const holon = await stand()
    const { events, done } = await eventsOf(
      await holon.chat(qwen, 'hi', { stream: true, max_completion_tokens: 4 }),
    )
    expect([wordsOf(events), done]).toEqual(['word0 word1 word2 word3', true])
    expect(events.every(({ object }) => object === 'chat.completion.chunk')).toBe(true)
    expect(await (await holon.chat(qwen, 'hi')).json()).toMatchObject({ usage: { completion_tokens: 6 } })
  })

  test.each(['error-mid-stream', 'vanish'])('%s is an error, though exo says 200', async (fault) => {
    const holon = await stand()
    const { events, done } = await eventsOf(await holon.chat(qwen, `fault:${fault}`, { stream: true }))
    expect(done).toBe(false)
    expect(events.at(-1)?.error?.message).toBeTypeOf('string')
    if (fault === 'vanish') expect((await holon.chat(qwen, 'fault:vanish')).status).toBe(502)
  })

  test('no room and a runner that fails are told in its words', async () => {
    const holon = await stand()
    const large = await holon.chat(deepseek, 'hi')
    expect(large.status).toBe(507)
    expect(await large.json()).toMatchObject({
      error: { message: expect.stringContaining('No cycles found') },
    })
    const failing = await stand('--fault', 'runner-failed')
    await expect(failing.agent.load(qwen, {})).rejects.toMatchObject({
      code: 'model_load_failed',
      message: expect.stringContaining('Metal ran out of memory'),
    })
  })

  test('what it takes and drops in silence is refused by name', async () => {
    const holon = await stand()
    const response = await holon.chat(qwen, 'hi', { response_format: { type: 'json_object' } })
    expect(await response.json()).toMatchObject({
      error: { code: 'unsupported_parameter', param: 'response_format' },
    })
  })
})
