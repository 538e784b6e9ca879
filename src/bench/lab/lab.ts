/**
 * Several machines that are all this one: a hub, its nodes and a client's desk, each in a network namespace with real
 * processes in it, on cables that are as slow and as long as one likes. Every node has one processor of this machine to
 * itself or shares it with a node that waits meanwhile.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { availableParallelism, homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEntry } from '../../core/child-entry.ts'
import type { Cable } from './cable.ts'
import type { Answer } from './desk.ts'
import { eventually, type Running, runCli, startCli, type Where } from './holon-process.ts'
import { type Machine, Switch } from './namespaces.ts'
import { Visitor } from './visitor.ts'

/** The engines of this machine's user; the lab installs none. */
export const enginesFolder = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  ...['holon', 'engines'],
)

export interface LabNode {
  name: string
  home: string
  machine: Machine
  running: Running | null
  /** The hub let it in once; it shows what it was given then. */
  enrolled: boolean
}

export class Lab {
  readonly nodes: Record<string, LabNode> = {}
  private readonly root = mkdtempSync(join(tmpdir(), 'holon-lab-'))
  private readonly lan: Switch
  private readonly hub: Machine
  private readonly desk: Machine
  private readonly key = 'a-key-of-the-bench'
  private hubEnv: Record<string, string> = {}
  private readonly children: ChildProcess[] = []
  private owner: Visitor | null = null

  /** @param subnet the first three numbers, such as `10.213.7` */
  constructor(subnet: string) {
    this.lan = new Switch(subnet)
    this.hub = this.lan.machine('hub')
    this.desk = this.lan.machine('desk')
  }

  async up(): Promise<void> {
    const HOLON_HOST = this.hub.address
    this.hubEnv = { HOLON_HOME: this.home('hub'), HOLON_PORT: '4656', HOLON_HOST, HOLON_API_KEY: this.key }
    const up = this.start(['up', '--no-open'], this.hubEnv, this.hub.command)
    const url = (await up.until(/Holon is up at (http:\S+)/))[1] ?? ''
    await up.until(/is ready on/)
    this.owner = this.visit(url, this.key)
  }

  /** Somebody at the desk who speaks to this address. */
  visit(url: string, key: string): Visitor {
    return new Visitor(this.fork(this.desk.command, childEntry(import.meta.url, './desk.ts'), [url, key]))
  }

  /** A program on a machine and its processor, without Holon. It ends with the lab at the latest. */
  run(name: string, program: string, args: readonly string[]): ChildProcess {
    const line = this.onItsProcessor(this.nodeCalled(name))(program, ...args)
    const child = spawn(line.program, line.args, { stdio: 'ignore' })
    this.children.push(child)
    return child
  }

  /** A machine, without anything that runs on it. */
  add(name: string): LabNode {
    const machine = this.lan.machine(name)
    const node = { name, machine, home: this.home(name), running: null, enrolled: false }
    this.nodes[name] = node
    return node
  }

  /** Starts its agent; it must have ended before. Resolves when the hub calls it ready. */
  async join(name: string, env: Record<string, string> = {}): Promise<void> {
    const node = this.nodeCalled(name)
    const args = [
      'join',
      this.url(),
      '--name',
      name,
      ...(node.enrolled ? [] : ['--token', await this.token()]),
    ]
    node.running = this.start(args, this.envOf(node, env), this.onItsProcessor(node))
    node.enrolled = true
    await node.running.until(/Connected to/)
    await eventually(`${name} to be ready`, async () => (await this.stateOf(name)) === 'ready', 60_000)
  }

  async leave(name: string): Promise<void> {
    const node = this.nodeCalled(name)
    node.running?.child.kill('SIGTERM')
    await node.running?.finished
    node.running = null
    await eventually(`${name} to be gone`, async () => (await this.stateOf(name)) !== 'ready', 20_000)
  }

  /** A command of a node's owner, on that node. @throws what it said on stderr when it failed */
  async onNode(name: string, args: string[]): Promise<string> {
    const node = this.nodeCalled(name)
    const { code, stdout, stderr } = await runCli(args, this.envOf(node), this.onItsProcessor(node))
    if (code !== 0) throw new Error(stderr)
    return stdout
  }

  /**
   * Lets the agents of machines run on every processor, or holds them to their machine's own again. Programs that they have
   * started stay where they are.
   */
  giveRoom(names: readonly string[], room: boolean): void {
    for (const name of names) {
      const node = this.nodeCalled(name)
      const processors = room ? `0-${availableParallelism() - 1}` : String(this.processorOf(node))
      execFileSync('taskset', ['-a', '-p', '-c', processors, String(node.running?.child.pid)])
    }
  }

  /** Lays the same cable to every node. The hub's and the desk's stay as they are. */
  lay(cable: Cable): void {
    Object.values(this.nodes).forEach(({ machine }, at) => {
      machine.lay(cable.relay === null ? cable : { ...cable, relay: relayPorts(at) })
    })
  }

  /** Starts the relay that long cables need, for the nodes there are now. */
  async relay(holdMs: number): Promise<void> {
    const ways = Object.values(this.nodes).flatMap(({ machine: { returns } }, at) => [
      { from: relayPorts(at).out, to: returns.out },
      { from: relayPorts(at).back, to: returns.back },
    ])
    const entry = childEntry(import.meta.url, './hold-datagrams.ts')
    const line = this.lan.relayCommand(process.execPath, entry, String(holdMs), JSON.stringify(ways))
    const child = spawn(line.program, line.args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.children.push(child)
    await once(child.stdout, 'data')
  }

  get<T>(path: string): Promise<T> {
    return this.hubsOwner().get(path)
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.hubsOwner().post(path, body)
  }

  ask(body: Record<string, unknown>, onFirst?: () => void): Promise<Answer> {
    return this.hubsOwner().ask(body, onFirst)
  }

  async end(): Promise<void> {
    for (const { running } of Object.values(this.nodes)) running?.child.kill('SIGTERM')
    await Promise.all(Object.values(this.nodes).map(({ running }) => running?.finished))
    for (const child of this.children.reverse()) child.kill('SIGKILL')
    await Promise.all(this.children.map(ended))
    this.lan.remove()
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 })
  }

  private async token(): Promise<string> {
    const { code, stdout, stderr } = await runCli(['nodes', 'token', '--json'], this.hubEnv, this.hub.command)
    if (code !== 0) throw new Error(stderr)
    return (JSON.parse(stdout) as { token: string }).token
  }

  private url = (): string => `http://${this.hub.address}:4656`

  private nodeCalled(name: string): LabNode {
    const node = this.nodes[name]
    if (!node) throw new Error(`there is no machine called ${name}`)
    return node
  }

  private home(name: string): string {
    const home = join(this.root, name)
    mkdirSync(join(home, 'models'), { recursive: true })
    symlinkSync(enginesFolder, join(home, 'engines'), 'dir')
    return home
  }

  private envOf({ home }: LabNode, more: Record<string, string> = {}): Record<string, string> {
    return { HOLON_HOME: home, HOLON_ENGINE: 'llama-server', ...more }
  }

  private processorOf({ name }: LabNode): number {
    return Object.keys(this.nodes).indexOf(name) % availableParallelism()
  }

  private onItsProcessor(node: LabNode): Where {
    const processor = String(this.processorOf(node))
    return (program, ...args) => node.machine.command('taskset', '-c', processor, program, ...args)
  }

  private async stateOf(name: string): Promise<string | undefined> {
    const { nodes } = await this.get<{ nodes: { name: string; state: string }[] }>('/fleet/v1/nodes')
    return nodes.find((node) => node.name === name)?.state
  }

  private start(args: string[], env: Record<string, string>, where: Where): Running {
    const running = startCli(args, env, where)
    this.children.push(running.child)
    return running
  }

  private fork(where: Where, entry: string, args: string[]): ChildProcess {
    const line = where(process.execPath, entry, ...args)
    const child = spawn(line.program, line.args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.children.push(child)
    return child
  }

  private hubsOwner(): Visitor {
    if (this.owner === null) throw new Error('the hub is not up')
    return this.owner
  }
}

/** Ports of the relay for the node with this number. */
const relayPorts = (at: number) => ({ out: 30_000 + 2 * at, back: 30_001 + 2 * at })

function ended(child: ChildProcess): Promise<unknown> {
  return child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
}
