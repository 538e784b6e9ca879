import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, type Finished, type Running, runCli } from '../support/cli.ts'
import { TestFleet } from '../support/fleet.ts'
import { type Machine, Switch, whyNoNamespaces } from '../support/namespaces.ts'

/**
 * Four machines on a switch: a hub that listens on the network, and three agents that can reach nothing but it. One
 * comes by token, two by the device flow. The OpenAI client runs on a fifth. Then a cable is pulled.
 */
const missing = whyNoNamespaces()
const key = 'a-long-random-key-for-this-test'
const fleet = new TestFleet()
let lan: Switch
let hub: Machine
let desk: Machine
let url = ''
let hubEnv: Record<string, string>
const machines: Record<string, Machine> = {}
const agents: Record<string, Running> = {}

/** A program on the desk's machine, fed with a script; what it prints is its answer. */
async function onDesk(script: string): Promise<unknown> {
  const { spawn } = await import('node:child_process')
  const { program, args } = desk.command(process.execPath, '--input-type=module', '-')
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '' },
  })
  child.stdin.end(script)
  let out = ''
  let error = ''
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    error += String(chunk)
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(error)
  return JSON.parse(out)
}

const get = (path: string) =>
  onDesk(
    `const r = await fetch('${url}${path}', { headers: { authorization: 'Bearer ${key}' } }); console.log(JSON.stringify(await r.json()))`,
  )

async function phases(): Promise<Record<string, string>> {
  const { nodes } = (await get('/fleet/v1/nodes')) as {
    nodes: { name: string; state: string; link?: { phase: string } }[]
  }
  return Object.fromEntries(nodes.map((node) => [node.name, node.link?.phase ?? node.state]))
}

/** One answer by the real client, as a stream: its text and who gave it. */
async function ask(model: string): Promise<{ text: string; node: string }> {
  const client = new URL('../../node_modules/openai/index.mjs', import.meta.url).href
  return (await onDesk(`
    import OpenAI from '${client}'
    const client = new OpenAI({ baseURL: '${url}/v1', apiKey: '${key}', maxRetries: 0 })
    const { data, response } = await client.chat.completions.create({
      model: '${model}', stream: true, temperature: 0, messages: [{ role: 'user', content: 'What is Holon?' }],
    }).withResponse()
    let text = ''
    for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
    console.log(JSON.stringify({ text, node: response.headers.get('x-holon-node') }))
  `)) as { text: string; node: string }
}

/** What the owner's browser does on the page that the machine showed. */
async function approve(page: string, decision: 'approve' | 'deny', withKey: string): Promise<number> {
  return (await onDesk(`
    const html = await (await fetch('${page}')).text()
    const value = (name) => new RegExp('name="' + name + '" value="([^"]*)"').exec(html)?.[1] ?? ''
    const answer = await fetch('${url}/device', {
      method: 'POST',
      headers: { origin: '${url}', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ user_code: value('user_code'), csrf: value('csrf'), decision: '${decision}', key: '${withKey}' }),
    })
    console.log(answer.status)
  `)) as number
}

/** `ash` is not told where the hub is, and finds it by mDNS. */
function join(name: string, args: string[], ...models: string[]): Running {
  const machine = lan.machine(name)
  machines[name] = machine
  const running = fleet.start(
    ['join', ...(name === 'ash' ? [] : [url]), '--name', name, ...args],
    { HOLON_HOME: fleet.home(...models) },
    machine.command,
  )
  agents[name] = running
  return running
}

describe.skipIf(missing !== null)(`three agents in three namespaces${missing ? ` (${missing})` : ''}`, () => {
  beforeAll(async () => {
    lan = new Switch('10.213.7')
    hub = lan.machine('hub')
    desk = lan.machine('desk')
    hubEnv = { HOLON_HOME: fleet.home(), HOLON_PORT: '4656', HOLON_HOST: hub.address, HOLON_API_KEY: key }
    const up = fleet.start(['up', '--no-open'], hubEnv, hub.command)
    url = (await up.until(/Holon is up at (http:\S+)/))[1] ?? ''
    await up.until(/is ready on/)
  }, 120_000)
  afterAll(async () => {
    await fleet.end()
    lan?.remove()
  }, 60_000)

  const owner = (args: string[]): Promise<Finished> => runCli(args, hubEnv, hub.command)

  test('one joins with a token, and only with one', async () => {
    const made = await owner(['nodes', 'token', '--json'])
    const { token } = JSON.parse(made.stdout) as { token: string }
    await join('oak', ['--token', token], 'shared').until(/Connected to/)
    const again = join('thief', ['--token', token])
    expect((await again.finished).stderr).toContain('used already')
  }, 120_000)

  test('two join when the owner lets them in on the page, who must know the key', async () => {
    for (const name of ['elm', 'ash']) {
      const running = join(name, [], 'shared', `only-${name}`)
      const page = (await running.until(/(http:\S+\/device\?user_code=\S+)/))[1] ?? ''
      expect(page.startsWith(url)).toBe(true)
      expect(await approve(page, 'approve', 'not the key')).toBe(403)
      expect(await approve(page, 'approve', key)).toBe(200)
      await running.until(/Connected to/)
    }
    await eventually('all to be ready', async () => {
      const now = await phases()
      return ['oak', 'elm', 'ash'].every((name) => now[name] === 'ready')
    })
  }, 180_000)

  test('one that the owner turns away gets nothing', async () => {
    const running = join('weed', [])
    const page = (await running.until(/(http:\S+\/device\?user_code=\S+)/))[1] ?? ''
    expect(await approve(page, 'deny', '')).toBe(200)
    const { code, stderr } = await running.finished
    expect(code).toBe(1)
    expect(stderr).toContain('turned this machine away')
    expect(await phases()).not.toHaveProperty('weed')
  }, 60_000)

  test('the nodes listen nowhere: no port is open on their machines', async () => {
    const { execFileSync } = await import('node:child_process')
    for (const name of ['oak', 'elm', 'ash']) {
      const { program, args } = machines[name]!.command('cat', '/proc/net/tcp', '/proc/net/tcp6')
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
    machines[node]!.unplug()
    await eventually('the hub to suspect it', async () => /suspect|gone/.test((await phases())[node] ?? ''))
    const others = ['oak', 'elm', 'ash'].filter((name) => name !== node)
    for (let round = 0; round < 3; round++) expect(others).toContain((await ask('shared')).node)
    await eventually('the hub to give it up', async () => (await phases())[node] === 'gone', 30_000)
    for (const name of others) expect((await phases())[name]).toBe('ready')
    machines[node]!.plugIn()
    await eventually('it to be back', async () => (await phases())[node] === 'ready', 90_000)
  }, 240_000)
})
