import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Home, homeAt } from '../../core/home.ts'
import { GiB } from '../../core/units.ts'
import { cachedBandwidth, keepBandwidth } from './cache.ts'

const newHome = (): Home => homeAt(mkdtempSync(join(tmpdir(), 'holon-bandwidth-')))
const machine = { hostname: 'studio', chip: 'Apple M3 Ultra', logicalCores: 32, totalBytes: 512 * GiB }
const measured = [{ threads: 1, readBytesS: 5e10, copyPayloadBytesS: 3e10, copyBusBytesS: 6e10 }]

it('gives back what was measured on this machine', async () => {
  const home = newHome()
  expect(await cachedBandwidth(home, machine)).toEqual([])
  await keepBandwidth(home, machine, measured)
  expect(await cachedBandwidth(home, machine)).toEqual(measured)
})

it('gives nothing of another machine that shares the folder, or of this one with other memory', async () => {
  const home = newHome()
  await keepBandwidth(home, machine, measured)
  expect(await cachedBandwidth(home, { ...machine, hostname: 'laptop' })).toEqual([])
  expect(await cachedBandwidth(home, { ...machine, totalBytes: 96 * GiB })).toEqual([])
})

it('takes a damaged file for none', async () => {
  const home = newHome()
  await keepBandwidth(home, machine, measured)
  const [name] = readdirSync(home.cache)
  for (const text of [
    '',
    '{',
    '{"version":1,"bandwidth":[{"threads":"one"}]}',
    '{"version":2,"bandwidth":[]}',
  ]) {
    writeFileSync(join(home.cache, name!), text)
    expect(await cachedBandwidth(home, machine)).toEqual([])
  }
})
