import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNamespaces } from '../../src/bench/lab/namespaces.ts'
import { eventually } from '../support/cli.ts'
import { clientLibrary, FleetLan } from '../support/fleet-lan.ts'

/**
 * A hub that listens on the network, and three agents that can reach nothing but it. One comes by token, two by the
 * device flow, one of them by mDNS. Who may come in, what they leave open, and that they come back.
 */
const missing = whyNoNamespaces()
let lan: FleetLan

/** One answer by the real client, as a stream: its text and who gave it. */
async function ask(model: string): Promise<{ text: string; node: string }> {
  return (await lan.onDesk(`
    import OpenAI from '${clientLibrary('openai/index.mjs')}'
    const client = new OpenAI({ baseURL: '${lan.url}/v1', apiKey: '${lan.key}', maxRetries: 0 })
    const { data, response } = await client.chat.completions.create({
      model: '${model}', stream: true, temperature: 0, messages: [{ role: 'user', content: 'What is Holon?' }],
    }).withResponse()
    let text = ''
    for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
    console.log(JSON.stringify({ text, node: response.headers.get('x-holon-node') }))
  `)) as { text: string; node: string }
}

describe.skipIf(missing !== null)(`three agents in three namespaces${missing ? ` (${missing})` : ''}`, () => {
  beforeAll(async () => {
    lan = new FleetLan('10.213.7')
    await lan.up()
  }, 120_000)
  afterAll(() => lan?.end(), 60_000)

  test('one joins with a token, and only with one', async () => {
    const args = ['--token', await lan.token()]
    await lan.join('oak', { args, models: ['shared'] }).until(/Connected to/)
    const again = lan.join('thief', { args })
    expect((await again.finished).stderr).toContain('used already')
  }, 120_000)

  test('two join when the owner lets them in on the page, who must know the key', async () => {
    for (const name of ['elm', 'ash']) {
      const running = lan.join(name, { models: ['shared', `only-${name}`], searching: name === 'ash' })
      const page = await lan.pageOf(running)
      expect(page.startsWith(lan.url)).toBe(true)
      expect(await lan.approve(page, 'approve', 'not the key')).toBe(403)
      expect(await lan.approve(page, 'approve', lan.key)).toBe(200)
      await running.until(/Connected to/)
    }
    await lan.untilReady('oak', 'elm', 'ash')
  }, 180_000)

  test('one that the owner turns away gets nothing', async () => {
    const running = lan.join('weed')
    const page = await lan.pageOf(running)
    expect(await lan.approve(page, 'deny', '')).toBe(200)
    const { code, stderr } = await running.finished
    expect(code).toBe(1)
    expect(stderr).toContain('turned this machine away')
    expect(await lan.phases()).not.toHaveProperty('weed')
  }, 60_000)

  test('the nodes listen nowhere: no port is open on their machines', () => {
    for (const name of ['oak', 'elm', 'ash']) {
      const { program, args } = lan.machines[name]!.command('cat', '/proc/net/tcp', '/proc/net/tcp6')
      const listening = execFileSync(program, args, { encoding: 'utf8' })
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[3] === '0A')
        .map((fields) => fields[1] ?? '')
      // Engines listen on loopback (0100007F is 127.0.0.1), and nothing listens anywhere else.
      expect(listening.filter((address) => !address.startsWith('0100007F:'))).toEqual([])
    }
  })

  test('the real client is answered by each of them', async () => {
    for (const name of ['elm', 'ash']) {
      const answer = await ask(`only-${name}`)
      expect(answer.node).toBe(name)
      expect(answer.text).toMatch(/machines/)
    }
    expect(['oak', 'elm', 'ash']).toContain((await ask('shared')).node)
  }, 120_000)

  test('one is unplugged: it is noticed, the others carry on, and it comes back by itself', async () => {
    const { node } = await ask('shared')
    lan.machines[node]!.unplug()
    const phaseOf = async (name: string): Promise<string> => (await lan.phases())[name] ?? ''
    await eventually('the hub to suspect it', async () => /suspect|gone/.test(await phaseOf(node)))
    const others = ['oak', 'elm', 'ash'].filter((name) => name !== node)
    for (let round = 0; round < 3; round++) expect(others).toContain((await ask('shared')).node)
    await eventually('the hub to give it up', async () => (await phaseOf(node)) === 'gone', 30_000)
    for (const name of others) expect(await phaseOf(name)).toBe('ready')
    lan.machines[node]!.plugIn()
    await lan.untilReady(node)
  }, 240_000)
})
