/** A real ring of MLX over two machines, each a network namespace with its own loopback: nothing but the wire joins them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Machine, Switch, whyNoNamespaces } from '../../src/bench/lab/namespaces.ts'
import { mlxPool } from '../../src/pool/mlx/index.ts'
import type { PartSpec } from '../../src/protocol/pool.ts'
import { eventually } from '../support/cli.ts'
import { groupSpecs } from '../support/pool-group.ts'
import { mlxPrograms } from './mlx-venv.ts'

const run = promisify(execFile)
const program = fileURLToPath(new URL('../support/pool-part-program.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'holon-mlx-machines-'))
const model = join(folder, 'tiny-mlx')
const whyNot = whyNoNamespaces()

type Line = Record<string, unknown>

/** An agent's part on one machine. */
class Member {
  readonly child: ChildProcess
  private readonly heard: Line[] = []
  private wake: () => void = () => undefined

  constructor(machine: Machine) {
    const home = join(folder, machine.namespace)
    mkdirSync(home, { recursive: true })
    const command = machine.command(process.execPath, program, home)
    this.child = spawn(command.program, command.args, { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.heard.push(JSON.parse(line))
      this.wake()
    })
  }

  tell(order: object): void {
    this.child.stdin!.write(`${JSON.stringify(order)}\n`)
  }

  /** The next line with this key. @throws when the member says an error instead */
  async hear(key: string): Promise<unknown> {
    for (;;) {
      const error = this.heard.find((line) => 'error' in line)
      const found = this.heard.findIndex((line) => key in line)
      if (found !== -1) return this.heard.splice(found, 1)[0]![key]
      if (error) throw new Error(String(error.error))
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.stdin!.end()
    await gone
  }
}

describe.skipIf(whyNot !== null)('two machines', () => {
  let net: Switch
  let machines: Machine[]
  let members: Member[] = []
  beforeAll(async () => {
    const programs = await mlxPrograms()
    const maker = fileURLToPath(new URL('../fakes/tiny-mlx-model.py', import.meta.url))
    await run(join(programs, 'python'), [maker, model])
    net = new Switch('10.214.9')
    machines = [net.machine('one'), net.machine('two')]
  }, 20 * 60_000)
  afterEach(async () => {
    await Promise.all(members.map((member) => member.end()))
    members = []
  })
  afterAll(() => {
    net?.remove()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  async function pool(mode: 'encrypted' | 'isolated'): Promise<void> {
    const settings = [0, 1].map(() => ({ strategy: 'tensor', limitBytes: 1e9, rdma: null }))
    const hosts = machines.map(({ address }) => address)
    const specs: PartSpec[] = groupSpecs(mlxPool, { model, settings, hosts, mode })
    members = machines.map((machine) => new Member(machine))
    const listening = await Promise.all(
      members.map(async (member, rank) => {
        member.tell({ open: specs[rank] })
        return { rank, ...((await member.hear('listening')) as { host: string; port: number }) }
      }),
    )
    await Promise.all(
      members.map(async (member, rank) => {
        member.tell({ start: listening.filter((peer) => peer.rank !== rank) })
        await member.hear('ready')
      }),
    )
  }

  const ask = { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 12, temperature: 0 }

  async function answer(): Promise<string> {
    members[0]!.tell({ chat: ask })
    const { status, text } = (await members[0]!.hear('answer')) as { status: number; text: string }
    expect(status).toBe(200)
    return (JSON.parse(text) as { choices: { message: { content: string } }[] }).choices[0]!.message.content
  }

  /** Ports that a machine shows to the others. */
  async function openPorts({ namespace, address }: Machine): Promise<string[]> {
    const { stdout } = await run('ip', ['netns', 'exec', namespace, 'ss', '-ltnH'])
    const local = stdout.split('\n').map((line) => line.trim().split(/\s+/)[3] ?? '')
    return local.filter((at) => at.startsWith(address) || /^(0\.0\.0\.0|\*|\[::\]):/.test(at))
  }

  async function ranksIn({ namespace }: Machine): Promise<number> {
    const { stdout } = await run('ip', ['netns', 'pids', namespace])
    const pids = stdout.split('\n').filter((pid) => pid !== '')
    const lines = await Promise.all(
      pids.map((pid) =>
        run('ps', ['-o', 'args=', '-p', pid]).then(
          ({ stdout: args }) => args,
          () => '',
        ),
      ),
    )
    return lines.filter((line) => line.includes(model) && !line.includes('guard.js')).length
  }

  /** A process that was killed may be listed for a moment more. */
  const nothingIn = (machine: Machine): Promise<void> =>
    eventually(`no rank in ${machine.namespace}`, async () => (await ranksIn(machine)) === 0)

  test('say the same over the encrypted wire and over an isolated link, and show no port of the engine', async () => {
    await pool('encrypted')
    const encrypted = await answer()
    expect(encrypted.length).toBeGreaterThan(0)
    // The wire's own port, and nothing else.
    for (const machine of machines) expect(await openPorts(machine)).toHaveLength(1)
    await Promise.all(members.map((member) => member.end()))
    await pool('isolated')
    expect(await answer()).toBe(encrypted)
  })

  test('a cable that is pulled in the middle of an answer ends both sides, and nothing is left', async () => {
    await pool('encrypted')
    members[0]!.tell({ chat: { ...ask, max_tokens: 1900, stream: true } })
    await members[0]!.hear('answering')
    machines[1]!.unplug()
    try {
      const [first, second] = await Promise.all(members.map((member) => member.hear('died')))
      expect([first, second].join(' ')).toMatch(/lost|gave up|ended/)
      expect(await members[0]!.hear('answer')).toHaveProperty('broken')
      for (const member of members) {
        member.tell({ stop: true })
        await member.hear('stopped')
      }
      for (const machine of machines) await nothingIn(machine)
    } finally {
      machines[1]!.plugIn()
    }
  })

  test('a machine that is killed whole leaves no rank behind anywhere', async () => {
    await pool('encrypted')
    members[1]!.child.kill('SIGKILL')
    expect(await members[0]!.hear('died')).toMatch(/./)
    members[0]!.tell({ stop: true })
    await members[0]!.hear('stopped')
    await nothingIn(machines[0]!)
    // The guard of the dead agent ends its engine by itself.
    await nothingIn(machines[1]!)
  })
})
