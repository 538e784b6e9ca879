import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { machineProfile } from '../../src/protocol/machine.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs the built command line on a home of its own, and waits until it has ended. */
function holon(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const home = env.HOLON_HOME ?? mkdtempSync(join(tmpdir(), 'holon-commands-'))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env.PATH ?? '', HOME: home, NO_COLOR: '1', ...env, HOLON_HOME: home },
    })
    const ended: Ended = { code: null, stdout: '', stderr: '' }
    child.stdout.on('data', (data: Buffer) => (ended.stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => (ended.stderr += data.toString()))
    child.once('error', reject)
    child.once('close', (code) => resolve({ ...ended, code }))
  })
}

interface Report {
  checks: { id: string; status: string; detail: string; hint: string | null }[]
}
const findCheck = (ended: Ended, id: string) =>
  (JSON.parse(ended.stdout) as Report).checks.find((check) => check.id === id)

describe('holon profile', () => {
  it('prints one document that has the agreed form', async () => {
    const { code, stdout } = await holon(['profile', '--json'])
    expect(code).toBe(0)
    expect(machineProfile.parse(JSON.parse(stdout)).memory.totalBytes).toBeGreaterThan(0)
  })

  it('measures when asked, and remembers', async () => {
    const home = mkdtempSync(join(tmpdir(), 'holon-commands-'))
    const first = await holon(['profile', '--measure', '--json'], { HOLON_HOME: home })
    const { bandwidth } = machineProfile.parse(JSON.parse(first.stdout))
    expect(bandwidth.length).toBeGreaterThan(0)
    const second = await holon(['profile'], { HOLON_HOME: home })
    expect(second.stdout).toContain('copy (payload)')
    expect(second.stdout).not.toContain('not measured yet')
  })
})

describe('holon doctor', () => {
  it('ends with 1 when something fails, and says what to do', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const json = await holon(['doctor', '--json'], { HOLON_PORT: String(port) })
    const text = await holon(['doctor'], { HOLON_PORT: String(port) })
    server.close()
    expect(json.code).toBe(1)
    expect(findCheck(json, 'port')).toMatchObject({ status: 'fail' })
    expect(text.code).toBe(1)
    expect(text.stdout).toMatch(/✗ Port +\d+ is held by/)
    expect(text.stdout).toMatch(/→ Choose another with --port/)
  })

  it('ends with 1 exactly when a check fails', async () => {
    const ended = await holon(['doctor', '--json'], { HOLON_PORT: '0' })
    const failed = (JSON.parse(ended.stdout) as Report).checks.some((check) => check.status === 'fail')
    expect(ended.code).toBe(failed ? 1 : 0)
  })

  it('does not give up on a setting that is wrong: it is one more finding', async () => {
    const home = mkdtempSync(join(tmpdir(), 'holon-commands-'))
    writeFileSync(join(home, 'holon.toml'), 'prot = 7\n')
    const ended = await holon(['doctor', '--json'], { HOLON_HOME: home })
    expect(ended.code).toBe(1)
    expect(findCheck(ended, 'settings')?.detail).toContain('prot')
    expect(findCheck(ended, 'node')).toMatchObject({ status: 'ok' })
  })

  it('sees the lock of a process that died', async () => {
    const home = mkdtempSync(join(tmpdir(), 'holon-commands-'))
    mkdirSync(join(home, 'run'))
    const lock = { pid: 2 ** 22 - 1, processStart: 'long ago', url: null }
    writeFileSync(join(home, 'run/up.json'), JSON.stringify(lock))
    const ended = await holon(['doctor', '--json'], { HOLON_HOME: home })
    expect(findCheck(ended, 'lock')).toMatchObject({ status: 'warn' })
  })
})
