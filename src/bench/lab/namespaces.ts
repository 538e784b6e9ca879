/**
 * Machines as network namespaces on one bridge: each with an address, its own loopback, and a cable that can be pulled,
 * made slow or made long. Linux, root.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Cable, limitedTo } from './cable.ts'

/** Between the switch and the relay, which no machine sees. */
export const switchAddress = '169.254.7.1'
export const relayAddress = '169.254.7.2'

/** Jumbo frames, as on fast networks: of the usual 1500 bytes these virtual cards carry 30 MB/s, one by one, less than a gigabit. */
const frameBytes = '9000'

const sbin = (name: string): string | undefined =>
  ['/usr/sbin', '/sbin', '/usr/bin'].map((folder) => `${folder}/${name}`).find((path) => existsSync(path))
const ip = sbin('ip')
const tc = sbin('tc')
const bridge = sbin('bridge')

/** Why namespaces cannot be made here; null when they can. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are Linux’s'
  if (process.getuid?.() !== 0) return 'making network namespaces needs root'
  if (!ip) return 'iproute2 is not installed'
  const probe = `hn-probe-${process.pid}`
  try {
    run('netns', 'add', probe)
    run('netns', 'del', probe)
    return null
  } catch (error) {
    return `network namespaces cannot be made: ${String(error).split('\n')[0]}`
  }
}

/** Why cables cannot be made slow or long here; null when they can. */
export function whyNoCables(): string | null {
  const why = whyNoNamespaces()
  if (why !== null) return why
  if (!tc || !bridge) return 'iproute2 is here without `tc` or `bridge`'
  const lab = new Switch('10.213.250')
  try {
    const machine = lab.machine('probe')
    machine.lay({ ...limitedTo(1000), relay: { out: 1, back: 2 } })
    return null
  } catch (error) {
    return `the kernel cannot shape (tbf) or lead frames away (vxlan): ${String(error).split('\n')[0]}`
  } finally {
    lab.remove()
  }
}

function execute(program: string, args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

const run = (...args: string[]): string => execute(ip ?? 'ip', args)

export interface Machine {
  readonly namespace: string
  readonly address: string
  /** A command line as this machine runs it. */
  command(program: string, ...args: string[]): { program: string; args: string[] }
  /** The same, with nothing in a folder that another machine has: all namespaces share the host's disk. */
  commandWithout(folder: string): Machine['command']
  unplug(): void
  plugIn(): void
  /** `ip` in this machine: its routes, for example. */
  ip(...args: string[]): void
  /** Replaces its cable by another; the old one is gone whatever it was. */
  lay(cable: Cable): void
  /** UDP ports of the switch at which frames come back from a relay. */
  readonly returns: { out: number; back: number }
}

/** Machines on one switch, itself in a namespace of its own, so that nothing of the host’s network is touched. */
export class Switch {
  private readonly tag = `hn${process.pid % 10_000}`
  private readonly subnet: string
  private readonly made: string[] = []
  private readonly lengthened = new Set<number>()
  private count = 0

  /** @param subnet the first three numbers, such as `10.213.7` */
  constructor(subnet: string) {
    this.subnet = subnet
    this.namespace(this.tag)
    run('-n', this.tag, 'link', 'add', 'switch', 'type', 'bridge')
    run('-n', this.tag, 'link', 'set', 'switch', 'up')
  }

  machine(name: string): Machine {
    const number = ++this.count
    const namespace = `${this.tag}-${name}`
    const address = `${this.subnet}.${number}`
    const port = `port${number}`
    this.namespace(namespace)
    run('-n', this.tag, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
    run('-n', this.tag, 'link', 'set', port, 'mtu', frameBytes, 'master', 'switch', 'up')
    run('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    // One segment, one frame, as on a wire: a relay could not pass on what the kernel has not cut yet.
    run('-n', namespace, 'link', 'set', 'eth0', 'mtu', frameBytes, 'gso_max_segs', '1', 'up')
    run('-n', namespace, 'route', 'add', 'default', 'dev', 'eth0')
    const command: Machine['command'] = (program, ...args) => ({
      program: ip ?? 'ip',
      args: ['netns', 'exec', namespace, program, ...args],
    })
    return {
      namespace,
      address,
      command,
      // `ip netns exec` gives each program its own table of mounts, which ends with it.
      commandWithout: (folder) => {
        const hide = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
        return (program, ...args) => command('sh', '-c', hide, folder, program, ...args)
      },
      unplug: () => void run('-n', this.tag, 'link', 'set', port, 'down'),
      plugIn: () => void run('-n', this.tag, 'link', 'set', port, 'up'),
      ip: (...args) => void run('-n', namespace, ...args),
      lay: (cable) => {
        shape(namespace, 'eth0', cable)
        shape(this.tag, port, cable)
        if (cable.relay !== null) this.lengthen(number, cable.relay)
        run('-n', this.tag, 'link', 'set', port, 'master', cable.relay === null ? 'switch' : `far${number}`)
        if (!this.lengthened.has(number)) return
        // Away from the switch, which would otherwise go on looking for the machine at this end.
        const end = cable.relay === null ? ['nomaster'] : ['master', 'switch']
        run('-n', this.tag, 'link', 'set', `in${number}`, ...end)
      },
      returns: returnsOf(number),
    }
  }

  /** A command line as the room of the relay runs it, at `relayAddress`. */
  relayCommand(program: string, ...args: string[]): { program: string; args: string[] } {
    return { program: ip ?? 'ip', args: ['netns', 'exec', this.relayRoom(), program, ...args] }
  }

  /** The relay needs a namespace of its own: what a VXLAN device sends to its own machine never leaves the kernel. */
  private relayRoom(): string {
    const room = `${this.tag}-relay`
    if (this.made.includes(room)) return room
    this.namespace(room)
    const wide = ['mtu', '9200'] as const
    const pair = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', room]
    run('-n', this.tag, 'link', 'add', 'relay', ...wide, ...pair)
    run('-n', this.tag, 'addr', 'add', `${switchAddress}/30`, 'dev', 'relay')
    run('-n', this.tag, 'link', 'set', 'relay', 'up')
    run('-n', room, 'addr', 'add', `${relayAddress}/30`, 'dev', 'eth0')
    run('-n', room, 'link', 'set', 'eth0', ...wide, 'up')
    return room
  }

  /**
   * The machine's port is cut from the switch and led through a relay in user space: both ends are VXLAN devices whose
   * datagrams go to the relay's ports, and come back to each other's.
   */
  private lengthen(number: number, relay: { out: number; back: number }): void {
    if (this.lengthened.has(number)) return
    this.lengthened.add(number)
    this.relayRoom()
    const far = `far${number}`
    const back = returnsOf(number)
    run('-n', this.tag, 'link', 'add', far, 'type', 'bridge')
    run('-n', this.tag, 'link', 'set', far, 'up')
    // What leaves the machine enters the relay at `out` and comes to the switch's end, and the other way round.
    this.vxlan(`out${number}`, far, back.back, relay.out)
    this.vxlan(`in${number}`, 'switch', back.out, relay.back)
  }

  private vxlan(name: string, master: string, listens: number, sendsTo: number): void {
    const device = ['dev', name] as const
    run(
      ...['-n', this.tag, 'link', 'add', name, 'mtu', frameBytes, 'type', 'vxlan', 'id', '7'],
      ...['dstport', String(listens), 'nolearning', 'dev', 'relay'],
    )
    const everyone = '00:00:00:00:00:00'
    execute(bridge ?? 'bridge', [
      ...['-n', this.tag, 'fdb', 'append', everyone, ...device],
      ...['dst', relayAddress, 'port', String(sendsTo)],
    ])
    run('-n', this.tag, 'link', 'set', name, 'master', master, 'up')
  }

  /** Removes everything; the processes in it must have ended. */
  remove(): void {
    for (const namespace of this.made.splice(0).reverse()) {
      try {
        run('netns', 'del', namespace)
      } catch {
        // The rest must still go.
      }
    }
  }

  private namespace(name: string): void {
    run('netns', 'add', name)
    this.made.push(name)
    run('-n', name, 'link', 'set', 'lo', 'up')
  }
}

const returnsOf = (number: number) => ({ out: 20_000 + 2 * number, back: 20_001 + 2 * number })

function shape(namespace: string, device: string, { tbf }: Cable): void {
  const at = ['dev', device, 'root']
  const line = (verb: string, ...more: string[]) => ['-n', namespace, 'qdisc', verb, ...at, ...more]
  if (tbf !== null) {
    execute(tc ?? 'tc', line('replace', 'tbf', ...tbf))
    return
  }
  try {
    execute(tc ?? 'tc', line('del'))
  } catch {
    // There was none.
  }
}
