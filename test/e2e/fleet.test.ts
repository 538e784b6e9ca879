import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ggufNumber } from '../../src/formats/gguf/gguf-header.ts'
import { readGgufFile } from '../../src/formats/gguf/read-gguf-set.ts'
import { eventually, runCli } from '../support/cli.ts'
import { ready, TestFleet, type TestHub, type TestNode } from '../support/fleet.ts'

/** A second and a third machine, as their owner adds them: real processes, real tunnels, the real embedded engine. */
const fleet = new TestFleet()
let hub: TestHub
let studio: TestNode
let mini: TestNode
let client: OpenAI

beforeAll(async () => {
  hub = await fleet.hub()
  studio = await fleet.node(hub, 'studio', 'shared', 'rare')
  mini = await fleet.node(hub, 'mini', 'shared')
  client = new OpenAI({ baseURL: `${hub.url}/v1`, apiKey: 'none', maxRetries: 0 })
}, 240_000)
afterAll(() => fleet.end(), 60_000)

const question = { messages: [{ role: 'user' as const, content: 'What is Holon?' }], temperature: 0 }

/** For an answer that is still under way when something happens: the token that would end it is banned. */
async function withoutEnd(): Promise<object> {
  const demo = fileURLToPath(new URL('../../assets/holon-demo.gguf', import.meta.url))
  const end = ggufNumber(await readGgufFile(demo), 'tokenizer.ggml.eos_token_id')
  return { max_tokens: 1900, logit_bias: { [String(end)]: -100 } }
}

async function ask(model: string): Promise<{ text: string; node: string | null }> {
  const { data, response } = await client.chat.completions
    .create({ model, ...question, stream: true })
    .withResponse()
  let text = ''
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
  return { text, node: response.headers.get('x-holon-node') }
}

describe('machines that joined', () => {
  test('answer through the hub with models that it does not have', async () => {
    const far = await ask('rare')
    expect(far.node).toBe('studio')
    expect(far.text).toBe((await ask('holon-demo')).text)
    const whole = await client.chat.completions.create({ model: 'rare', ...question })
    expect(whole.choices[0]?.message.content).toBe(far.text)
  })

  test('are loaded and unloaded like the hub’s own machine, and their speed is known', async () => {
    await ask('rare')
    const running = await runCli(['ps', '--json'], hub.env)
    const { models } = JSON.parse(running.stdout) as { models: { id: string; decodeTokS: number | null }[] }
    expect(models.find(({ id }) => id === 'rare')?.decodeTokS).toBeGreaterThan(0)
    expect((await runCli(['unload', 'rare'], hub.env)).code).toBe(0)
    const after = await runCli(['ps'], hub.env)
    expect(after.stdout).not.toContain('rare')
    expect((await runCli(['load', 'rare'], hub.env)).code).toBe(0)
  })

  test('a request that the client leaves ends at the engine too', async () => {
    const leaving = new AbortController()
    const stream = await client.chat.completions.create(
      { model: 'rare', ...question, stream: true },
      { signal: leaving.signal },
    )
    for await (const _ of stream) break
    leaving.abort()
    await eventually('the engine to be idle', async () => {
      const { stdout } = await runCli(['ps', '--json'], hub.env)
      const { models } = JSON.parse(stdout) as { models: { id: string; active: number }[] }
      return models.find(({ id }) => id === 'rare')?.active === 0
    })
  })

  test('keep their credential to themselves: one file, one reader, no log', async () => {
    const file = join(studio.home, 'node.json')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const { credential } = JSON.parse(readFileSync(file, 'utf8')) as { credential: string }
    const logs = [studio.home, hub.env.HOLON_HOME ?? ''].flatMap((home) =>
      readdirSync(join(home, 'logs')).map((name) => readFileSync(join(home, 'logs', name), 'utf8')),
    )
    const said = [...logs, ...Object.values(studio.running.output()), ...Object.values(hub.running.output())]
    expect(said.join('\n')).not.toContain(credential)
  })

  test('get a new credential while they answer, and still come back', async () => {
    const before = readFileSync(join(mini.home, 'node.json'), 'utf8')
    expect((await runCli(['nodes', 'rotate', 'mini'], hub.env)).code).toBe(0)
    const after = readFileSync(join(mini.home, 'node.json'), 'utf8')
    expect(after).not.toBe(before)
    expect(JSON.parse(after).nodeId).toBe(JSON.parse(before).nodeId)
  })
})

test('a token that was used is refused to the second who has it, and the books say so', async () => {
  const token = await hub.token()
  const home = fleet.home()
  const first = fleet.start(['join', hub.url, '--token', token, '--name', 'guest'], { HOLON_HOME: home })
  await first.until(/Connected to/)
  const thief = await runCli(['join', hub.url, '--token', token], { HOLON_HOME: fleet.home() })
  expect(thief.code).toBe(1)
  expect(thief.stderr).toContain('used already')
  const wrong = await runCli(['join', hub.url, '--token', 'hjoin_wrong'], { HOLON_HOME: fleet.home() })
  expect(wrong.stderr).toContain('not known here')
  const audit = await runCli(['nodes', 'audit', '--json'], hub.env)
  const { entries } = JSON.parse(audit.stdout) as { entries: { action: string; detail: string }[] }
  expect(entries.some(({ action, detail }) => action === 'node.refused' && /used/.test(detail))).toBe(true)
  expect(audit.stdout).not.toContain(token)

  // The guest is sent away: at once, and for good.
  expect((await runCli(['nodes', 'revoke', 'guest'], hub.env)).code).toBe(0)
  const sent = await first.finished
  expect(sent.code).toBe(1)
  expect(sent.stderr).toContain('revoked')
  const back = await runCli(['join'], { HOLON_HOME: home })
  expect(back.code).toBe(1)
  expect(back.stderr).toContain('was revoked')
})

test('a second agent with a stolen identity does not throw out the one that is there', async () => {
  const copy = fleet.home()
  const { writeFileSync } = await import('node:fs')
  writeFileSync(join(copy, 'node.json'), readFileSync(join(mini.home, 'node.json')), { mode: 0o600 })
  const thief = fleet.start(['join'], { HOLON_HOME: copy })
  await thief.until(/connected already, from another agent/)
  expect((await hub.nodes()).find(({ name }) => name === 'mini')?.state).toBe('ready')
  expect((await ask('shared')).text).not.toBe('')
  thief.child.kill('SIGTERM')
  expect((await thief.finished).code).toBe(0)
})

test('a node killed in mid-answer: the stream ends with an error, and the next request goes to the other', async () => {
  const first = await ask('shared')
  const [victim, other] = first.node === 'studio' ? [studio, 'mini'] : [mini, 'studio']
  const response = await fetch(`${hub.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'shared', ...question, ...(await withoutEnd()), stream: true }),
  })
  expect(response.headers.get('x-holon-node')).toBe(first.node)
  let text = ''
  for await (const chunk of response.body!) {
    if (text === '') victim.running.child.kill('SIGKILL')
    text += Buffer.from(chunk).toString()
  }
  expect(text).not.toContain('[DONE]')
  expect(text.trim().split('\n').at(-1)).toMatch(/^data: \{"error":\{"message":.*"source":"engine"/)
  const next = await ask('shared')
  expect(next.node).toBe(other)
  expect(next.text).toBe(first.text)
  await eventually('the hub to know', async () => {
    const gone = (await hub.nodes()).find(({ name }) => name === first.node)
    return gone?.link?.phase === 'gone'
  })
  // It comes back by its own file, without a word.
  victim.running = fleet.start(['join'], { HOLON_HOME: victim.home })
  await ready(hub, first.node ?? '')
}, 120_000)

test('nodes come back by themselves when the hub does', async () => {
  hub.running.child.kill('SIGTERM')
  await hub.running.finished
  const port = new URL(hub.url).port
  hub = await fleet.hub(hub.env.HOLON_HOME, { HOLON_PORT: port })
  for (const name of ['studio', 'mini']) await ready(hub, name)
  expect((await ask('rare')).node).toBe('studio')
}, 120_000)
