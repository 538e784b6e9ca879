/**
 * A hub, its nodes and a client's desk as machines on one switch, each in a network namespace with real processes in
 * it. Nothing reaches anything but through the switch, and every cable can be pulled.
 */
import { spawn } from 'node:child_process'
import { type Machine, Switch } from '../../src/bench/lab/namespaces.ts'
import { eventually, type Finished, type Running, runCli, type Where } from './cli.ts'
import { TestFleet } from './fleet.ts'

export interface Joining {
  args?: string[]
  /** Names under which the demonstration model lies on its disk. */
  models?: string[]
  env?: Record<string, string>
  /** A HOLON_HOME made before; a fresh one otherwise. */
  home?: string
  /** Not told where the hub is: it must find it by mDNS. */
  searching?: boolean
  /** A folder of another machine, which this one's disk does not have. */
  without?: string
}

/** A program on the desk, under way. */
export interface DeskProgram {
  /** Resolves when it has printed this. */
  until(text: string): Promise<void>
  /** What it printed last, as JSON. @throws what it said on stderr when it failed */
  answer: Promise<unknown>
}

export class FleetLan {
  readonly fleet = new TestFleet()
  readonly key = 'a-long-random-key-for-this-test'
  readonly machines: Record<string, Machine> = {}
  readonly agents: Record<string, Running> = {}
  url = ''
  private readonly lan: Switch
  private readonly hub: Machine
  private readonly desk: Machine
  private hubEnv: Record<string, string> = {}

  /** @param subnet the first three numbers, such as `10.213.7` */
  constructor(subnet: string) {
    this.lan = new Switch(subnet)
    this.hub = this.lan.machine('hub')
    this.desk = this.lan.machine('desk')
  }

  /** Starts the hub, which listens on the network and wants the key. */
  async up(): Promise<void> {
    this.hubEnv = {
      HOLON_HOME: this.fleet.home(),
      HOLON_PORT: '4656',
      HOLON_HOST: this.hub.address,
      HOLON_API_KEY: this.key,
    }
    const up = this.fleet.start(['up', '--no-open'], this.hubEnv, this.hub.command)
    this.url = (await up.until(/Holon is up at (http:\S+)/))[1] ?? ''
    await up.until(/is ready on/)
  }

  /** A command of the hub's owner, on the hub's machine. */
  owner(args: string[]): Promise<Finished> {
    return runCli(args, this.hubEnv, this.hub.command)
  }

  async token(): Promise<string> {
    const made = await this.owner(['nodes', 'token', '--json'])
    if (made.code !== 0) throw new Error(made.stderr)
    return (JSON.parse(made.stdout) as { token: string }).token
  }

  /** Starts an agent on a machine of its own; again on the same machine when that has ended. */
  join(name: string, { args = [], models = [], env = {}, home, searching, without }: Joining = {}): Running {
    const machine = this.machines[name] ?? this.lan.machine(name)
    this.machines[name] = machine
    const running = this.fleet.start(
      ['join', ...(searching ? [] : [this.url]), '--name', name, ...args],
      { HOLON_HOME: home ?? this.fleet.home(...models), ...env },
      without === undefined ? machine.command : machine.commandWithout(without),
    )
    this.agents[name] = running
    return running
  }

  /** The page on which the owner lets a waiting machine in. */
  async pageOf(running: Running): Promise<string> {
    return (await running.until(/(http:\S+\/device\?user_code=\S+)/))[1] ?? ''
  }

  /** What the owner's browser does on that page; the status of the answer. */
  async approve(page: string, decision: 'approve' | 'deny', withKey: string): Promise<number> {
    return (await this.onDesk(`
      const html = await (await fetch('${page}')).text()
      const value = (name) => new RegExp('name="' + name + '" value="([^"]*)"').exec(html)?.[1] ?? ''
      const answer = await fetch('${this.url}/device', {
        method: 'POST',
        headers: { origin: '${this.url}', 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          user_code: value('user_code'), csrf: value('csrf'), decision: '${decision}', key: '${withKey}',
        }),
      })
      console.log(answer.status)
    `)) as number
  }

  get(path: string): Promise<unknown> {
    return this.onDesk(`
      const answer = await fetch('${this.url}${path}', { headers: { authorization: 'Bearer ${this.key}' } })
      console.log(JSON.stringify(await answer.json()))
    `)
  }

  /** Where every node stands, by name. */
  async phases(): Promise<Record<string, string>> {
    const { nodes } = (await this.get('/fleet/v1/nodes')) as {
      nodes: { name: string; state: string; link?: { phase: string } }[]
    }
    return Object.fromEntries(nodes.map((node) => [node.name, node.link?.phase ?? node.state]))
  }

  async untilReady(...names: string[]): Promise<void> {
    await eventually(
      `${names.join(', ')} to be ready`,
      async () => {
        const now = await this.phases()
        return names.every((name) => now[name] === 'ready')
      },
      90_000,
    )
  }

  /** Runs a script on the desk; its only output is its answer. */
  onDesk(script: string): Promise<unknown> {
    return this.runOnDesk(script).answer
  }

  runOnDesk(script: string): DeskProgram {
    return runScript(this.desk.command, script)
  }

  async end(): Promise<void> {
    await this.fleet.end()
    this.lan.remove()
  }
}

/** Where a client library lies, for scripts on the desk. */
export function clientLibrary(file: string): string {
  return new URL(`../../node_modules/${file}`, import.meta.url).href
}

function runScript(where: Where, script: string): DeskProgram {
  const { program, args } = where(process.execPath, '--input-type=module', '-')
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '' },
  })
  child.stdin.end(script)
  let out = ''
  let error = ''
  const looks = new Set<() => void>()
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
    for (const look of looks) look()
  })
  child.stderr.on('data', (chunk) => {
    error += String(chunk)
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const answer = ended.then((code) => {
    if (code !== 0) throw new Error(error)
    return JSON.parse(out.trim().split('\n').at(-1) ?? '') as unknown
  })
  answer.catch(() => undefined)
  return {
    answer,
    until: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!out.includes(text)) return
          looks.delete(look)
          resolve()
        }
        looks.add(look)
        look()
        void ended.then(() => reject(new Error(`the program ended before it said ${text}: ${error}`)))
      }),
  }
}
