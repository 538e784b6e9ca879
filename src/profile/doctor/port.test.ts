import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { runCommand } from '../run-command.ts'
import {
  checkPort,
  parseListeningSockets,
  parseLsof,
  parseNetstat,
  readPortFacts,
  whoHoldsPort,
} from './port.ts'

const idle = { running: null, stale: null }

async function holding<T>(body: (port: number) => Promise<T>): Promise<T> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await body((server.address() as { port: number }).port)
  } finally {
    server.close()
  }
}

describe('a port of this machine', () => {
  it('that is held fails, naming who holds it', async () => {
    await holding(async (port) => {
      const facts = await readPortFacts('127.0.0.1', port)
      expect(facts.error).toBe('EADDRINUSE')
      expect(facts.holder?.pid).toBe(process.pid)
      const check = checkPort(facts, idle)
      expect(check.status).toBe('fail')
      expect(check.detail).toMatch(new RegExp(`^${port} is held by .+ \\(process ${process.pid}\\)$`))
      expect(check.hint).toContain('--port')
    })
  })

  it('that the running Holon holds is fine', async () => {
    await holding(async (port) => {
      const lock = { running: { pid: process.pid, url: null }, stale: null }
      expect(checkPort(await readPortFacts('127.0.0.1', port), lock)).toMatchObject({ status: 'ok' })
    })
  })

  it('that is free is free, and stays so', async () => {
    const port = await holding(async (held) => held)
    expect(checkPort(await readPortFacts('127.0.0.1', port), idle)).toMatchObject({ status: 'ok' })
    expect(await whoHoldsPort(port)).toBeNull()
  })

  it('at an address of another machine fails', async () => {
    const facts = await readPortFacts('192.0.2.1', 0)
    expect(checkPort(facts, idle)).toMatchObject({
      status: 'fail',
      detail: '192.0.2.1 is no address of this machine',
    })
  })

  it('held by another user is said to be so', () => {
    const facts = { host: '127.0.0.1', port: 80, error: 'EADDRINUSE', holder: null }
    expect(checkPort(facts, idle).detail).toBe('80 is held by a program of another user')
    expect(checkPort({ ...facts, error: 'EACCES' }, idle).detail).toContain('administrator')
  })
})

describe('what the systems say', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1230 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 48213 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1230 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000  1000        0 48299 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11111 1 0000000000000000 100 0 0 10 0
`

  it('Linux: the listener, not its connections, and not another port', () => {
    expect(parseListeningSockets(table, 4656)).toEqual(['48213'])
    expect(parseListeningSockets(table, 80)).toEqual(['11111'])
    expect(parseListeningSockets(table, 8080)).toEqual([])
  })

  it('macOS: process and name', () => {
    expect(parseLsof('p4321\ncnode\nf23\n')).toEqual({ pid: 4321, name: 'node' })
    expect(parseLsof('')).toBeNull()
    expect(parseLsof(null)).toBeNull()
  })

  it('Windows: whatever the language of the state', () => {
    const text = [
      '  Proto  Lokale Adresse         Remoteadresse          Status           PID',
      '  TCP    127.0.0.1:4656         127.0.0.1:50123        HERGESTELLT      99',
      '  TCP    127.0.0.1:4656         0.0.0.0:0              ABHÖREN          1234',
      '  TCP    [::]:8080              [::]:0                 ABHÖREN          77',
    ].join('\r\n')
    expect(parseNetstat(text, 4656)).toEqual({ pid: 1234, name: null })
    expect(parseNetstat(text, 8080)).toEqual({ pid: 77, name: null })
    expect(parseNetstat(text, 656)).toBeNull()
  })

  // A Mac has one; on Linux the doctor does not ask it.
  it.runIf(process.platform === 'darwin' || existsSync('/usr/bin/lsof'))('the real lsof agrees', async () => {
    await holding(async (port) => {
      const text = await runCommand('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'])
      expect(parseLsof(text)?.pid).toBe(process.pid)
    })
  })
})
