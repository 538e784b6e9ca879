import { chmodSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GB } from '../../core/units.ts'
import { checkDisk, checkHome, type HomeFacts, readHomeFacts } from './storage.ts'

const folder = () => mkdtempSync(join(tmpdir(), 'holon-doctor-'))

describe('HOLON_HOME, as it is', () => {
  it('is fine when it can be written to, and nothing is left behind by trying', async () => {
    const path = folder()
    expect(checkHome(await readHomeFacts(path))).toMatchObject({
      status: 'ok',
      detail: `${path} is writable`,
    })
    expect(readdirSync(path)).toEqual([])
  })

  it('is fine when it can be created, and is not created by looking', async () => {
    const parent = folder()
    const check = checkHome(await readHomeFacts(join(parent, 'a/b')))
    expect(check).toMatchObject({ status: 'ok' })
    expect(check.detail).toContain('will be created')
    expect(readdirSync(parent)).toEqual([])
  })

  it('that is a file fails', async () => {
    const path = join(folder(), 'file')
    writeFileSync(path, '')
    const check = checkHome(await readHomeFacts(path))
    expect(check).toMatchObject({ status: 'fail' })
    expect(check.detail).toContain('it is a file, no folder')
  })

  it.runIf(process.platform !== 'win32')('that anyone may write to gets a warning', async () => {
    const path = join(folder(), 'open')
    mkdirSync(path)
    chmodSync(path, 0o777)
    expect(checkHome(await readHomeFacts(path))).toMatchObject({
      status: 'warn',
      hint: `Close it with \`chmod 700 ${path}\`.`,
    })
  })

  // Root may write anywhere, so this can only be seen as an ordinary user.
  it.runIf(process.platform !== 'win32' && process.getuid?.() !== 0)('that is closed fails', async () => {
    const path = folder()
    chmodSync(path, 0o500)
    expect(checkHome(await readHomeFacts(path))).toMatchObject({ status: 'fail' })
  })
})

describe('HOLON_HOME, judged', () => {
  const fine: HomeFacts = {
    ...{ path: '/h', exists: true, isFolder: true, nearest: '/h', writeError: null },
    ...{ ownerUid: 1000, ourUid: 1000, othersMayWrite: false },
  }

  it.each([
    ['EACCES', /permission is denied/, /chown/],
    ['EROFS', /read-only/, /set HOLON_HOME/],
    ['ENOSPC', /disk is full/, /set HOLON_HOME/],
    ['EWEIRD', /EWEIRD/, /set HOLON_HOME/],
  ])('%s is explained', (writeError, detail, hint) => {
    const check = checkHome({ ...fine, writeError })
    expect(check.status).toBe('fail')
    expect(check.detail).toMatch(detail)
    expect(check.hint).toMatch(hint)
  })

  it('of another user is a warning even to root, whom it does not lock out', () => {
    expect(checkHome({ ...fine, ourUid: 0 })).toMatchObject({ status: 'warn' })
  })
})

describe('the disk', () => {
  it.each([
    [0.5 * GB, 'fail'],
    [5 * GB, 'warn'],
    [50 * GB, 'ok'],
  ])('with %d bytes free: %s', (freeBytes, status) => {
    expect(checkDisk({ path: '/h', totalBytes: 100 * GB, freeBytes }).status).toBe(status)
  })
})
