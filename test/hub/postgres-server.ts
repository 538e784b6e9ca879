/**
 * A real PostgreSQL in a folder of its own on a free loopback port. It refuses to run as root, so as root it runs as
 * the user `postgres` that Debian's package made.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The folder with initdb and postgres, or null when PostgreSQL is not installed. */
export function findPostgres(): string | null {
  const versions = existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').sort().reverse()
    : []
  const candidates = [
    ...versions.map((version) => `/usr/lib/postgresql/${version}/bin`),
    '/opt/homebrew/bin',
    '/usr/local/bin',
    '/usr/bin',
  ]
  return (
    candidates.find((dir) => existsSync(join(dir, 'initdb')) && existsSync(join(dir, 'postgres'))) ?? null
  )
}

function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const number = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: number('-u'), gid: number('-g') }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export class PostgresServer {
  readonly url: string
  private readonly bin: string
  private readonly dir: string
  private readonly port: number
  private readonly user = unprivileged()
  private child: ChildProcess | null = null

  private constructor(bin: string, dir: string, port: number) {
    this.bin = bin
    this.dir = dir
    this.port = port
    this.url = `postgres://holon@127.0.0.1:${port}/postgres`
  }

  static async create(bin: string): Promise<PostgresServer> {
    const dir = mkdtempSync(join(tmpdir(), 'holon-pg-'))
    const server = new PostgresServer(bin, dir, await freePort())
    const { uid, gid } = server.user
    if (uid !== undefined && gid !== undefined) chownSync(dir, uid, gid)
    execFileSync(join(bin, 'initdb'), ['-D', join(dir, 'data'), '-U', 'holon', '-A', 'trust', '--no-sync'], {
      ...server.user,
      cwd: dir,
      stdio: 'ignore',
    })
    return server
  }

  async start(): Promise<void> {
    const settings = [
      `port=${this.port}`,
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${this.dir}`,
    ]
    const flags = settings.flatMap((setting) => ['-c', setting])
    this.child = spawn(join(this.bin, 'postgres'), ['-D', join(this.dir, 'data'), ...flags], {
      ...this.user,
      cwd: this.dir,
      stdio: 'ignore',
    })
    for (let attempt = 0; attempt < 200; attempt++) {
      const ready = spawn(join(this.bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(this.port)], {
        stdio: 'ignore',
      })
      const [code] = await once(ready, 'exit')
      if (code === 0) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error('PostgreSQL did not start')
  }

  /** SIGQUIT: PostgreSQL's immediate shutdown, as a crash, but with its children. */
  async crash(): Promise<void> {
    const { child } = this
    this.child = null
    if (!child) return
    const gone = once(child, 'exit')
    child.kill('SIGQUIT')
    await gone
  }

  async remove(): Promise<void> {
    await this.crash()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
