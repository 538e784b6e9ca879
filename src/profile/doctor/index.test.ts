import { mkdtempSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { homeAt } from '../../core/home.ts'
import { profileMachine } from '../profile-machine.ts'
import { runDoctor } from './index.ts'

const idle = { running: null, stale: null }

async function examine(port: number) {
  const home = homeAt(mkdtempSync(join(tmpdir(), 'holon-doctor-')))
  const profile = await profileMachine({ home, env: { PATH: '' } })
  const checks = await runDoctor({
    home,
    host: '127.0.0.1',
    port,
    tls: null,
    hubUrl: null,
    lock: idle,
    profile,
  })
  return { home, checks, byId: new Map(checks.map((check) => [check.id, check])) }
}

describe('runDoctor', () => {
  it('looks at this machine, leaves nothing behind, and has a hint for all that is not well', async () => {
    const { home, checks, byId } = await examine(0)
    expect([...byId.keys()]).toEqual(
      expect.arrayContaining(['node', 'lock', 'port', 'home', 'disk', 'memory', 'engines', 'clock']),
    )
    expect(new Set(byId.keys()).size).toBe(checks.length)
    for (const check of checks) {
      expect(check.detail).not.toBe('')
      if (check.status === 'ok') expect(check.hint).toBeNull()
      else expect(check.hint).toBeTruthy()
    }
    expect(readdirSync(home.root)).toEqual([])
  })

  it('sees a port that is taken', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { byId } = await examine((server.address() as { port: number }).port)
    server.close()
    expect(byId.get('port')).toMatchObject({ status: 'fail' })
  })
})
