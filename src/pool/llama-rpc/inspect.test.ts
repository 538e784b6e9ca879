import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { inspectBinary } from '../../engines/llama-server/inspect.ts'
import { protocolOf } from './inspect.ts'

const folder = mkdtempSync(join(tmpdir(), 'holon-inspect-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const library = join(folder, 'library')

/** Runs `then` where the library is that it needs, and cannot start where it is not. */
function needy(name: string, then: string): string {
  const path = join(folder, name)
  const missing = `echo "error while loading shared libraries" >&2; exit 127`
  writeFileSync(path, `#!/bin/sh\n[ -e "${library}" ] || { ${missing}; }\n${then}\n`, { mode: 0o755 })
  return path
}

/** `-H HOST -p PORT …`: tells protocol 7.0.1 and one device, as a worker of llama.cpp does. */
const worker = `
const say = (...bytes) => { const all = Buffer.alloc(8 + bytes.length); all[0] = bytes.length; all.set(bytes, 8); return all }
require('node:net').createServer((socket) => {
  socket.on('error', () => undefined)
  socket.on('data', (asked) => socket.write(asked[0] === 14 ? say(7, 0, 1) : say(1, 0, 0, 0)))
}).listen(Number(process.argv[5]), process.argv[3])`

test.skipIf(process.platform === 'win32')(
  'a program that could not run once is asked again: what was missing may be there now, with the same file',
  async () => {
    const server = needy('llama-server', `echo "version: 6123 (abc1234)"; echo "--port N"`)
    writeFileSync(join(folder, 'worker.cjs'), worker)
    const rpc = needy('rpc-server', `exec "${process.execPath}" "${join(folder, 'worker.cjs')}" "$@"`)
    expect([await inspectBinary(server), await protocolOf(rpc)]).toEqual([null, null])
    writeFileSync(library, '')
    expect(await inspectBinary(server)).toMatchObject({ version: '6123 (abc1234)' })
    expect(await protocolOf(rpc)).toBe('7.0.1')
  },
)

test('a worker that is not there has no protocol', async () => {
  expect(await protocolOf(join(folder, 'nothing'))).toBeNull()
})
