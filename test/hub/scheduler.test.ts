import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { explainResponse } from '../../src/protocol/explain.ts'
import { FakeEngine } from './fake-engine.ts'
import { aModel, FakeNode } from './fake-node.ts'
import { chat, errorOf, type Stand, startStand } from './start-hub.ts'

const small = aModel('small-3b-instruct', { paramsTotal: 3e9 })
const large = aModel('large-8b-instruct', { paramsTotal: 8e9 })
const trial = aModel('trial-7b-instruct', { paramsTotal: 7e9 })

let stand: Stand
let other: FakeNode
let otherEngine: FakeEngine
beforeAll(async () => {
  otherEngine = new FakeEngine()
  await otherEngine.start()
  other = new FakeNode(otherEngine.origin, [large, trial], 'node-2', 'mini')
  stand = await startStand({}, [other])
  stand.node.models = [small, large]
})
afterAll(async () => {
  await stand.stop()
  await otherEngine.stop()
})

const ask = (model: string, headers: Record<string, string> = {}, path = '/v1/chat/completions') =>
  stand.post(path, chat('hello', { model }), { headers: { 'content-type': 'application/json', ...headers } })
const manage = async (what: string, body: object) => {
  const response = await stand.post(`/fleet/v1/catalogue/${what}`, body)
  expect(response.status).toBe(200)
}
const modelsAt = async (path: string) => {
  const { data } = (await (await fetch(stand.url + path)).json()) as { data: { id: string }[] }
  return data.map(({ id }) => id)
}

test('lanes, pins and tiers, from the owner’s word to the caller’s answer', async () => {
  expect((await errorOf(await ask('small-3b-instruct', { 'x-holon-lane': 'fast' }))).error).toMatchObject({
    code: 'invalid_parameter',
    param: 'x-holon-lane',
    message: expect.stringContaining('production, research, experimental'),
  })
  await manage('lanes', { model: 'trial-7b-instruct', lanes: ['experimental'] })
  expect((await errorOf(await ask('trial-7b-instruct'))).error.message).toContain('not offered on this lane')
  const onHeader = await ask('trial-7b-instruct', { 'x-holon-lane': 'experimental' })
  expect([onHeader.status, onHeader.headers.get('x-holon-node')]).toEqual([200, 'mini'])
  for (const path of ['chat/completions', 'messages', 'responses']) {
    const body = path === 'responses' ? { input: 'hello' } : { ...chat('hello'), max_tokens: 20 }
    const response = await stand.post(`/v1/experimental/${path}`, { ...body, model: 'trial-7b-instruct' })
    expect([path, response.status]).toEqual([path, 200])
    await response.text()
  }
  const torn = await ask(
    'trial-7b-instruct',
    { 'x-holon-lane': 'research' },
    '/v1/experimental/chat/completions',
  )
  expect(torn.status).toBe(400)
  expect(await modelsAt('/v1/models')).toEqual([
    'small-3b-instruct', 'large-8b-instruct', 'auto', 'auto:fast', 'auto:best',
  ]) // biome-ignore format: a list of names
  expect(await modelsAt('/v1/experimental/models')).toContain('trial-7b-instruct')

  await manage('pin', { model: 'large-8b-instruct', to: ['mini'] })
  for (let n = 0; n < 3; n++)
    expect((await ask('large-8b-instruct')).headers.get('x-holon-node')).toBe('mini')
  await manage('unpin', { model: 'large-8b-instruct' })

  const client = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const best = await client.chat.completions
    .create({ model: 'auto:best', messages: [{ role: 'user', content: 'hello' }] })
    .withResponse()
  expect(best.response.headers.get('x-holon-route')).toContain('serves large-8b-instruct; auto:best')
  expect(best.data.choices[0]?.message.content).toBeTruthy()
  const hello = { role: 'user' as const, content: 'hello' }
  const easy = await client.chat.completions.create({ model: 'auto', messages: [hello] }).withResponse()
  expect(easy.response.headers.get('x-holon-route')).toContain('auto:fast')
  expect((await stand.post('/v1/embeddings', { model: 'auto', input: 'x' })).status).toBe(400)
}, 60_000)

test('a choice is unfolded afterwards, with what was predicted and what came of it', async () => {
  const response = await stand.post('/v1/chat/completions', chat('hello', { model: 'large-8b-instruct' }), {
    headers: { 'content-type': 'application/json', 'x-request-id': 'req-to-explain' },
  })
  await response.text()
  const told = await fetch(`${stand.url}/fleet/v1/requests/req-to-explain`)
  const explained = explainResponse.parse(await told.json())
  expect(explained).toMatchObject({
    asked: 'large-8b-instruct',
    lane: 'production',
    outcome: { status: 200 },
  })
  const [choice] = explained.choices
  expect(choice?.candidates.map(({ chosen }) => chosen)).toEqual([true, false])
  for (const { predicted } of choice!.candidates) {
    const { waitS, loadS, evictS, prefillS, decodeS, finishS } = predicted
    expect(waitS + loadS + evictS + prefillS + decodeS).toBeCloseTo(finishS, 6)
  }
  expect(explained.compared.map(({ what }) => what)).toContain('decode')
  expect((await fetch(`${stand.url}/fleet/v1/requests/never-asked`)).status).toBe(404)
  const openapi = (await (await fetch(`${stand.url}/openapi.json`)).json()) as { paths: object }
  expect(Object.keys(openapi.paths)).toContain('/fleet/v1/requests/{id}')
})

test('a request that moved on is explained with every choice made for it', async () => {
  stand.node.models = [{ ...small }]
  other.models = [{ ...large }, { ...trial }, { ...small }]
  const { failure } = stand.node
  await manage('pin', { model: 'small-3b-instruct', background: ['mini'] })
  const { HolonError } = await import('../../src/core/errors.ts')
  stand.node.failure = new HolonError('model_load_failed', 'It does not load.')
  const response = await ask('small-3b-instruct', { 'x-request-id': 'req-moved' })
  stand.node.failure = failure
  expect([response.status, response.headers.get('x-holon-node')]).toEqual([200, 'mini'])
  await response.text()
  const told = await fetch(`${stand.url}/fleet/v1/requests/req-moved`)
  const { choices } = explainResponse.parse(await told.json())
  expect(choices.map(({ movedOn }) => movedOn)).toEqual([true, false])
  expect(choices.map(({ candidates }) => candidates[0]?.node)).toEqual(['studio', 'mini'])
}, 60_000)
