/** Machines as network namespaces on one bridge: each with an address, a cable that can be pulled, and its own loopback. Linux, root. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const ip = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'].find((path) => existsSync(path))

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

function run(...args: string[]): string {
  return execFileSync(ip ?? 'ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

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
}

/** Machines on one switch, itself in a namespace of its own, so that nothing of the host’s network is touched. */
export class Switch {
  private readonly tag = `hn${process.pid % 10_000}`
  private readonly subnet: string
  private readonly made: string[] = []
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
    run('-n', this.tag, 'link', 'set', port, 'master', 'switch', 'up')
    run('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    run('-n', namespace, 'link', 'set', 'eth0', 'up')
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
    }
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
