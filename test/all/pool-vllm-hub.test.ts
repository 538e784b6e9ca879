/**
 * vLLM over two machines, formed by the hub as its owner's commands ask: by its own launcher, and by Ray as versions
 * before 0.18 need it, once a fake Ray and once Ray itself. Hub, agents, links and processes are real; vLLM is a program
 * of several processes that keeps to its documents and breaks as it does (test/fakes). Each machine is a namespace.
 */
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNamespaces } from '../../src/bench/lab/namespaces.ts'
import type { PoolPreview, PreviewPlacement } from '../../src/protocol/pools.ts'
import { eventually, isAlive } from '../support/cli.ts'
import { fakePrograms, writeShapedModel } from '../support/fake-vllm-home.ts'
import { FleetLan } from '../support/fleet-lan.ts'
import { type Answer, chatOn, poolOn, processesOn } from '../support/pool-on-lan.ts'
import { rayPrograms } from './ray-venv.ts'

const missing = whyNoNamespaces()
const model = 'even-heads'
const members = ['oak', 'elm']
const accepted = members.flatMap((name) => ['--accept-isolated-link', `${name}:eth0`])
const create = ['pool', 'create', 'big', '--model', model, '--nodes', members.join(','), '--engine', 'vllm']

const launchers = [
  { by: 'its own launcher', version: '0.18.1', subnet: '10.216.9', ray: null },
  { by: 'the fake Ray', version: '0.11.0', subnet: '10.217.9', ray: 'fake' },
  { by: 'Ray itself', version: '0.11.0', subnet: '10.218.9', ray: 'real' },
]
/** Processes of a group; not the guards, whose lines name what they guard. */
const ofGroup =
  /^(?!\S+ \S*guard\.js ).*(fake-vllm\.mjs serve|ray(\.mjs)? start|gcs_server|raylet|EngineCore)/
const startsMember = /^(?!\S+ \S*guard\.js ).*(fake-vllm\.mjs serve|ray(\.mjs)? start)/

describe.skipIf(missing !== null).each(launchers)('vLLM by $by', ({ version, subnet, ray }) => {
  const homes: Record<string, string> = {}
  const modelOf = (name: string) => join(homes[name] ?? '', 'models', model)
  const python: Record<string, string> = {}
  let net: FleetLan
  let bin: string

  const all = (name: string) => processesOn(net, name, ofGroup)
  const servers = (name: string) => processesOn(net, name, /fake-vllm\.mjs serve/)
  const pool = () => poolOn(net, 'big')
  const ask = async (content = 'Hello') => (await chatOn(net, model, content).answer) as Answer

  async function start(name: string, env: Record<string, string>, args: string[] = []): Promise<void> {
    homes[name] ??= net.fleet.home()
    const without = name === 'oak' ? undefined : modelOf('oak')
    await net.join(name, { args, env, home: homes[name] ?? '', without }).until(/Connected to/)
    await net.untilReady(name)
  }
  const withVllm = (more: Record<string, string> = {}) => ({
    PATH: `${bin}:${process.env.PATH}`,
    FAKE_VLLM_VERSION: version,
    ...python,
    ...more,
  })
  async function preview(asked: string, ...args: string[]): Promise<PoolPreview> {
    const { stdout, stderr } = await net.owner(['pool', 'preview', asked, ...args, '--json'])
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout) as PoolPreview
  }
  const rowsOf = async (nodes: string, asked = model): Promise<PreviewPlacement[]> => {
    const { placements } = await preview(asked, '--nodes', nodes, '--engine', 'vllm', '--context', '1024')
    return placements.filter(({ engine }) => engine === 'vllm')
  }

  beforeAll(async () => {
    net = new FleetLan(subnet)
    await net.up()
    bin = fakePrograms(join(net.fleet.home(), 'bin'), ray === 'fake' ? ['vllm', 'ray'] : ['vllm'])
    if (ray === 'real') {
      const programs = await rayPrograms()
      symlinkSync(join(programs, 'ray'), join(bin, 'ray'))
      python.FAKE_VLLM_PYTHON = join(programs, 'python')
    }
    homes.oak = net.fleet.home()
    writeShapedModel(modelOf('oak'), { heads: 4, layers: 4 })
    writeShapedModel(join(homes.oak, 'models', 'odd-heads'), { heads: 3, layers: 4 })
    for (const name of members) await start(name, withVllm(), ['--token', await net.token()])
    // Another version, and none at all.
    await start('ash', withVllm({ FAKE_VLLM_VERSION: '0.12.0' }), ['--token', await net.token()])
    await start('fir', {}, ['--token', await net.token()])
  }, 10 * 60_000)
  afterAll(async () => {
    await net?.end()
  }, 60_000)

  test('the preview compares both splits, and names the word that vLLM needs of its owner', async () => {
    const rows = await rowsOf('oak,elm')
    expect(rows.map(({ strategy }) => strategy).sort()).toEqual(['pipeline', 'tensor'])
    expect(rows.map(({ fits }) => fits)).toEqual([true, true])
    expect(rows[0]?.because.join('; ')).toMatch(
      /NCCL and gloo.*--accept-isolated-link oak:eth0 --accept-isolated-link elm:eth0/,
    )
    expect(rows[0]?.whenAMemberDies.map(({ outcome }) => outcome)).toEqual(['down', 'down'])
    expect(members.flatMap(all)).toEqual([])
  }, 120_000)

  test('the preview says why not: no vLLM on a member, another version, heads that cannot be divided', async () => {
    expect((await rowsOf('oak,fir'))[0]?.whyNot).toMatch(/fir cannot take part: vLLM is not installed/)
    expect((await rowsOf('oak,ash'))[0]?.whyNot).toMatch(
      new RegExp(
        `ash .*vllm 0\\.12\\.0.*oak has vllm ${version}|oak has vllm ${version}.*ash has vllm 0\\.12\\.0|0\\.12\\.0 needs Ray`,
      ),
    )
    const odd = await rowsOf('oak,elm', 'odd-heads')
    expect(odd.find(({ fits }) => fits)?.strategy).toBe('pipeline')
    expect(odd.find(({ fits }) => !fits)?.whyNot).toContain('3 attention heads do not divide by 2')
  }, 120_000)

  test('without that word it is refused before anything starts, with what to say', async () => {
    const refused = await net.owner([...create, '--context', '1024'])
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('--accept-isolated-link oak:eth0 --accept-isolated-link elm:eth0')
    expect(await pool()).toBeUndefined()
    expect(members.flatMap(all)).toEqual([])
    expect(existsSync(modelOf('elm'))).toBe(false)
  }, 120_000)

  test('with it the files are brought, the members meet, and the client is answered', async () => {
    const made = await net.owner([...create, '--context', '1024', ...accepted, '--wait', '--json'])
    expect(`${made.code} ${made.stderr}`).toMatch(/^0 /)
    expect(await pool()).toMatchObject({ service: 'group', engine: 'vllm', reason: null })
    expect((await pool())?.members.map(({ wire }) => wire)).toEqual(['isolated', 'isolated'])
    expect(existsSync(join(modelOf('elm'), 'model.safetensors'))).toBe(true)
    expect(await ask()).toEqual({ text: 'word0 word1 word2 word3 word4 word5', node: 'big', error: null })
  }, 300_000)

  test('nothing listens but on loopback and on the cable that was vouched for, except Ray itself', () => {
    for (const name of members) {
      const pid = net.agents[name]?.child.pid ?? 0
      const others = listeningIn(pid).filter(
        (host) => !['127.0.0.1', net.machines[name]?.address].includes(host),
      )
      // Ray 2.60 does so whatever --node-ip-address says: the document warns of it.
      if (ray !== 'real') expect(others).toEqual([])
      else expect(new Set(others)).toEqual(new Set(['0'.repeat(32)]))
    }
  })

  test('a member’s process is killed in the middle of an answer: the group ends whole, and is formed again', async () => {
    const before = members.flatMap(all)
    const answering = chatOn(net, model, 'fault:slow')
    await answering.until('begun')
    const [victim = 0] = processesOn(net, 'elm', startsMember)
    process.kill(victim, 'SIGKILL')
    expect(((await answering.answer) as Answer).error).toMatch(/The engine stopped while answering/)
    await eventually('the pool to answer again', async () => (await ask()).error === null, 120_000)
    expect(before.filter(isAlive)).toEqual([])
    expect((await pool())?.service).toBe('group')
  }, 300_000)

  test('a whole machine goes and comes back: nothing of the group is left meanwhile, and it is formed again', async () => {
    const before = members.flatMap(all)
    expect(before.length).toBeGreaterThanOrEqual(4)
    net.agents.elm?.child.kill('SIGKILL')
    await net.agents.elm?.finished
    await eventually('nothing of it to be left', () => before.every((pid) => !isAlive(pid)), 60_000)
    await eventually('the pool to say that it is down', async () => (await pool())?.service === 'none')
    expect((await ask()).error).toMatch(/The pool big is down: .*(elm|oak)/)
    await start('elm', withVllm())
    await eventually('the pool to answer again', async () => (await ask()).error === null, 180_000)
    expect(servers('oak')).toHaveLength(1)
  }, 400_000)

  test('removed: nothing of it is left on either machine', async () => {
    const before = members.flatMap(all)
    const { code } = await net.owner(['pool', 'remove', 'big'])
    expect(code).toBe(0)
    await eventually('every process to end', () => before.every((pid) => !isAlive(pid)), 60_000)
    expect(members.flatMap(all)).toEqual([])
  }, 120_000)
})

/** The addresses that anything listens on in the network of a process; every one of them, `0.0.0.0` among them. */
function listeningIn(pid: number): string[] {
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state]) => state === '0A')
      .map(([, local = '']) => addressOf(local.split(':')[0] ?? '')),
  )
}

/** `0100007F` is 127.0.0.1: the bytes of IPv4 in the order of this machine. */
function addressOf(hex: string): string {
  if (hex.length !== 8) return hex
  const bytes = hex.match(/../g) ?? []
  return bytes
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join('.')
}
