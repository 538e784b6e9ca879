import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { descendants, eventually } from '../../../test/support/cli.ts'
import { writeFakeMlx } from '../../../test/support/fake-mlx-home.ts'
import { groupSpecs, memberHost } from '../../../test/support/pool-group.ts'
import { writeTinySafetensors } from '../../../test/support/tiny-safetensors.ts'
import { mlxPool } from './index.ts'

const root = mkdtempSync(join(tmpdir(), 'holon-mlx-open-'))
afterAll(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }))
const model = join(root, 'tiny')
writeTinySafetensors(model)
const host = memberHost(root)
const { signal } = new AbortController()

describe.skipIf(process.platform !== 'linux')('a machine with mlx-lm', () => {
  test('says what another version brings once that is installed in its place', async () => {
    writeFakeMlx(host.home.engines, '0.30.0')
    expect(await mlxPool.inspect(host, model)).toMatchObject({
      whyNot: expect.stringContaining('install 0.31 or newer'),
    })
    writeFakeMlx(host.home.engines, '0.32.10')
    expect(await mlxPool.inspect(host, model)).toMatchObject({
      whyNot: null,
      build: 'mlx 0.32.10, mlx-lm 0.32.10',
      cut: { strategies: ['tensor'] },
    })
  })

  test('leaves no rank when its part is ended while that is being started', async () => {
    writeFakeMlx(host.home.engines, '0.32.10')
    const settings = [0, 1].map(() => ({ strategy: 'tensor', limitBytes: 1e9, rdma: null }))
    const hosts = ['127.0.0.1', '127.0.0.1']
    const [first, second] = groupSpecs(mlxPool, { model, settings, hosts })
    const part = await mlxPool.open(first!, host, signal)
    const peer = await mlxPool.open(second!, host, signal)
    const before = descendants(process.pid)
    const starting = part.start([{ rank: 1, ...peer.listening! }], { signal })
    starting.catch(() => undefined)
    // Its guard is there and the rank is not yet.
    while (descendants(process.pid).length === before.length) await new Promise(setImmediate)
    await part.stop()
    await expect(starting).rejects.toThrow()
    await peer.stop()
    await eventually('every process to end', () =>
      descendants(process.pid).every((pid) => before.includes(pid)),
    )
  })
})
