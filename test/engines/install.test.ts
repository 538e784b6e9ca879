import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Home, homeAt } from '../../src/core/home.ts'
import { detectEmbedded, packFolder, thisMachine } from '../../src/engines/embedded/detect.ts'
import { installEmbedded, writeManifests } from '../../src/engines/embedded/install.ts'
import { choosePackage } from '../../src/engines/embedded/packages.ts'
import { explain, findNpm, runNpm } from '../../src/engines/shared/npm.ts'
import type { LoadProgress } from '../../src/protocol/model.ts'

let home: Home
beforeEach(() => {
  home = homeAt(mkdtempSync(join(tmpdir(), 'holon-install-')))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home.root, { recursive: true, force: true })
})
const never = new AbortController().signal
const quiet = { onProgress: () => undefined, signal: never }

describe('the engine pack', () => {
  test('is fetched once for two who ask at the same time, and found afterwards', async () => {
    const seen: LoadProgress[] = []
    expect(await detectEmbedded(home)).toMatchObject({
      available: false,
      whyNot: expect.any(String),
      hint: expect.any(String),
    })
    // What an installation that was killed leaves behind.
    mkdirSync(join(home.engines, '.embedded-3.22.1.part-old'), { recursive: true })
    mkdirSync(join(home.engines, '.embedded-3.22.1.lock'))
    writeFileSync(join(home.engines, '.embedded-3.22.1.lock', 'pid'), '999999999')
    const [a, b] = await Promise.all([
      installEmbedded(home, { onProgress: (step) => seen.push(step), signal: never }),
      installEmbedded(home, quiet),
    ])
    expect(a).toBe(b)
    expect(existsSync(a)).toBe(true)
    expect(readdirSync(home.engines)).toEqual(['embedded-3.22.1'])
    expect(seen[0]).toMatchObject({ percent: 0 })
    expect(seen.at(-1)).toMatchObject({ percent: 100 })
    expect(await detectEmbedded(home)).toMatchObject({ available: true, path: a, whyNot: null })
    // Only what was asked for: no other platform, none of the package's own dependencies.
    expect(
      readdirSync(join(packFolder(home), 'node_modules')).filter((name) => !name.startsWith('.')),
    ).toEqual(['@node-llama-cpp'])

    truncateSync(a, 1000)
    expect(await detectEmbedded(home)).toMatchObject({ available: false })
    expect(readFileSync(await installEmbedded(home, quiet)).length).toBeGreaterThan(1000)
  })

  test('is not used when it differs from its checksum', async () => {
    const wanted = choosePackage(thisMachine())!
    const other = `sha512-${Buffer.alloc(64, 7).toString('base64')}`
    mkdirSync(home.engines, { recursive: true })
    writeManifests(home.engines, { ...wanted, integrity: other })
    const fetched = runNpm(
      ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
      home.engines,
      never,
    )
    await expect(fetched).rejects.toMatchObject({ code: 'checksum_mismatch' })
  })

  test('leaves nothing behind when the network is away, and says so', async () => {
    vi.stubEnv('npm_config_registry', 'http://127.0.0.1:9/')
    vi.stubEnv('npm_config_cache', join(home.root, 'empty-cache'))
    vi.stubEnv('npm_config_fetch_retries', '0')
    const refused = installEmbedded(home, quiet)
    await expect(refused).rejects.toMatchObject({
      code: 'engine_install_failed',
      hint: expect.stringContaining('internet'),
    })
    expect(readdirSync(home.engines)).toEqual([])
  })

  test('leaves nothing behind when it is cancelled', async () => {
    const cancel = new AbortController()
    const cut = installEmbedded(home, {
      onProgress: () => cancel.abort(new Error('enough')),
      signal: cancel.signal,
    })
    await expect(cut).rejects.toThrow('enough')
    expect(readdirSync(home.engines)).toEqual([])
  })
})

describe('the package for a machine', () => {
  const machine = { platform: 'linux' as NodeJS.Platform, arch: 'x64', cuda: false, vulkan: false }
  test.each<[object, string | undefined]>([
    [{}, '@node-llama-cpp/linux-x64'],
    [{ cuda: true, vulkan: true }, '@node-llama-cpp/linux-x64-cuda'],
    [{ vulkan: true }, '@node-llama-cpp/linux-x64-vulkan'],
    [{ arch: 'arm64', cuda: true }, '@node-llama-cpp/linux-arm64'],
    [{ platform: 'darwin', arch: 'arm64' }, '@node-llama-cpp/mac-arm64-metal'],
    [{ platform: 'darwin' }, '@node-llama-cpp/mac-x64'],
    [{ platform: 'win32' }, '@node-llama-cpp/win-x64'],
    [{ platform: 'freebsd' }, undefined],
  ])('%j is %s', (facts, name) => {
    expect(choosePackage({ ...machine, ...facts })?.name).toBe(name)
  })

  test('where there is none, detection says what to do', async () => {
    const found = await detectEmbedded(home, { ...machine, platform: 'freebsd' })
    expect(found).toMatchObject({ available: false, hint: expect.stringContaining('llama.cpp') })
  })
})

describe("npm's failures", () => {
  test.each([
    ['npm error code E404\nnpm error 404 Not Found', 'engine_install_failed', 'does not have'],
    ['npm error code ENOSPC', 'disk_full', 'no space'],
    ['npm error code EBADPLATFORM', 'engine_install_failed', 'glibc'],
    ['npm error code EAI_AGAIN\nnpm error request failed', 'engine_install_failed', 'cannot be reached'],
    ['npm error code EWEIRD\nnpm error something odd', 'engine_install_failed', 'something odd'],
  ])('are put in words: %j', (output, code, words) => {
    expect(explain(output)).toMatchObject({ code, message: expect.stringContaining(words) })
  })

  test('npm is found beside Node or on the PATH', () => {
    expect(findNpm({ PATH: '' }) ?? findNpm()).not.toBeNull()
  })
})
