/** Is the port free, and if not, who holds it? */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { type Run, runCommand } from '../run-command.ts'
import { type Check, checkCalled } from './check.ts'
import type { LockFacts } from './lock.ts'

export interface PortHolder {
  pid: number
  /** The program's short name; never its arguments, which can hold secrets. */
  name: string | null
}

export interface PortFacts {
  host: string
  port: number
  /** The system's code when listening failed ("EADDRINUSE"); null when the port is free. */
  error: string | null
  /** Null when free, or when the holder belongs to another user and the system does not tell. */
  holder: PortHolder | null
}

export async function readPortFacts(host: string, port: number): Promise<PortFacts> {
  const error = await tryListening(host, port)
  return { host, port, error, holder: error === 'EADDRINUSE' ? await whoHoldsPort(port) : null }
}

function tryListening(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/** The process that listens on a TCP port of this machine; null when none does or the system does not tell. */
export async function whoHoldsPort(port: number, run: Run = runCommand): Promise<PortHolder | null> {
  if (process.platform === 'linux') return holderOnLinux(port)
  if (process.platform === 'win32') return parseNetstat(await run('netstat', ['-ano', '-p', 'TCP']), port)
  return parseLsof(await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc']))
}

/**
 * Lines of /proc/net/tcp and tcp6 give address and port in hex, the state (0A is listening) and, as the tenth field, the
 * number of the socket.
 */
export function parseListeningSockets(text: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return text.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    return state === '0A' && local?.endsWith(`:${wanted}`) && inode ? [inode] : []
  })
}

async function holderOnLinux(port: number): Promise<PortHolder | null> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
  )
  const links = new Set(
    tables.flatMap((text) => parseListeningSockets(text, port)).map((inode) => `socket:[${inode}]`),
  )
  if (links.size === 0) return null
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of processes) {
    const folder = `/proc/${pid}/fd`
    for (const fd of await readdir(folder).catch(() => [])) {
      if (!links.has(await readlink(`${folder}/${fd}`).catch(() => ''))) continue
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
      return { pid: Number(pid), name: name.trim() || null }
    }
  }
  return null
}

/** `lsof -Fpc`: a line `p1234` and a line `cnode` for each process. */
export function parseLsof(text: string | null): PortHolder | null {
  const pid = /^p(\d+)$/m.exec(text ?? '')?.[1]
  return pid === undefined ? null : { pid: Number(pid), name: /^c(.+)$/m.exec(text ?? '')?.[1] ?? null }
}

/** `netstat -ano`: `  TCP    127.0.0.1:4656    0.0.0.0:0    LISTENING    1234`, the state translated, the last column not. */
export function parseNetstat(text: string | null, port: number): PortHolder | null {
  for (const line of (text ?? '').split('\n')) {
    const [protocol, local, remote, , pid] = line.trim().split(/\s+/)
    const listening = remote === '0.0.0.0:0' || remote === '[::]:0'
    if (protocol === 'TCP' && local?.endsWith(`:${port}`) && listening && pid)
      return { pid: Number(pid), name: null }
  }
  return null
}

export function checkPort(facts: PortFacts, lock: LockFacts): Check {
  const { ok, fail } = checkCalled('port', 'Port')
  const { host, port, error, holder } = facts
  if (error === null) return ok(`${port} is free`)
  const ours =
    lock.running !== null && (holder?.pid === lock.running.pid || lock.running.url?.endsWith(`:${port}`))
  if (ours) return ok(`${port} is held by the Holon that is running`)
  const hint = 'Choose another with --port N or HOLON_PORT'
  if (error === 'EADDRINUSE') {
    const who = holder ? `${holder.name ?? 'a program'} (process ${holder.pid})` : 'a program of another user'
    return fail(`${port} is held by ${who}`, holder ? `${hint}, or end that program.` : `${hint}.`)
  }
  if (error === 'EACCES') return fail(`${port} needs administrator rights`, `${hint}, above 1023.`)
  if (error === 'EADDRNOTAVAIL' || error === 'ENOTFOUND') {
    return fail(
      `${host} is no address of this machine`,
      'Set HOLON_HOST to 127.0.0.1 or to an address of this machine.',
    )
  }
  return fail(`listening on ${host}:${port} fails with ${error}`, `${hint}.`)
}
