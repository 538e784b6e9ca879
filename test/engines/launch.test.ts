import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { embeddedDriver } from '../../src/engines/embedded/index.ts'
import type { EngineDriver } from '../../src/engines/engine.ts'
import { readGgufFile } from '../../src/formats/gguf/read-gguf-set.ts'
import type { LoadProgress } from '../../src/protocol/model.ts'
import { testHome } from '../support/engine-home.ts'
import { launchDefaults } from './embedded-engine.ts'

let home: ReturnType<typeof testHome>
let driver: EngineDriver
let folder: string
const file = (name: string): string => join(folder, name)
beforeAll(() => {
  home = testHome()
  driver = embeddedDriver(home)
  folder = mkdtempSync(join(tmpdir(), 'holon-launch-'))
  writeRandomGguf(file('good.gguf'))
})
afterAll(() => {
  home.remove()
  rmSync(folder, { recursive: true, force: true })
})

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
async function untilGone(pid: number): Promise<void> {
  for (let round = 0; alive(pid); round++) {
    expect(round).toBeLessThan(1000)
    await sleep(10)
  }
}

describe('a model file that cannot be used is refused with the reason', () => {
  const launch = (name: string, extra: object = {}) =>
    driver.launch({ ...launchDefaults, modelPath: file(name), ...extra })

  test('when it is missing', async () => {
    await expect(launch('nowhere.gguf')).rejects.toMatchObject({ code: 'model_file_missing' })
  })

  test('when it is truncated, in its header or in its weights', async () => {
    const whole = readFileSync(file('good.gguf'))
    for (const size of [3, 20, 3000, whole.length - 5000]) {
      writeFileSync(file('cut.gguf'), whole.subarray(0, size))
      await expect(launch('cut.gguf')).rejects.toMatchObject({ code: 'model_file_invalid' })
    }
  })

  test('when it is garbage', async () => {
    writeFileSync(file('garbage.gguf'), Buffer.alloc(100_000, 'garbage'))
    await expect(launch('garbage.gguf')).rejects.toMatchObject({ code: 'model_file_invalid' })
  })

  test('when its architecture is unknown, naming it', async () => {
    writeRandomGguf(file('alien.gguf'), { architecture: 'alien' })
    const refused = launch('alien.gguf')
    await expect(refused).rejects.toMatchObject({ code: 'model_file_invalid' })
    await expect(refused).rejects.toThrow('"alien"')
  })

  test('when its tokenizer is unknown, with the words of the engine', async () => {
    const bytes = readFileSync(file('good.gguf'))
    const at = bytes.indexOf('gpt-2')
    bytes.write('xpt-9', at)
    writeFileSync(file('tokenizer.gguf'), bytes)
    const refused = launch('tokenizer.gguf')
    await expect(refused).rejects.toMatchObject({ code: 'model_load_failed', source: 'engine' })
    await expect(refused).rejects.toThrow('xpt-9')
  })

  test('when it is too big for the memory, before anything is read, with the numbers', async () => {
    writeRandomGguf(file('giant.gguf'), {
      headerOnly: true,
      layers: 400,
      embedding: 16_384,
      heads: 128,
      kvHeads: 8,
      feedForward: 65_536,
      type: 'F32',
    })
    const { fileBytes } = await readGgufFile(file('giant.gguf'), { requireWeights: false })
    // A sparse file: it claims terabytes and takes a few blocks.
    truncateSync(file('giant.gguf'), fileBytes)
    const refused = launch('giant.gguf')
    await expect(refused).rejects.toMatchObject({ code: 'model_too_big' })
    await expect(refused).rejects.toThrow(/needs about [\d.]+ TB/)
  })

  test('when a longer context is asked for than it was trained for', async () => {
    await expect(launch('good.gguf', { contextTokens: 100_000 })).rejects.toMatchObject({
      code: 'invalid_parameter',
    })
  })
})

describe('the engine process', () => {
  test('reports its progress, measures threads once and says what it allotted', async () => {
    const phases: LoadProgress[] = []
    const spec = {
      ...launchDefaults,
      modelPath: file('good.gguf'),
      threads: null,
      parallel: 3,
      contextTokens: 300,
      onProgress: (step: LoadProgress) => phases.push(step),
    }
    const engine = await driver.launch(spec)
    expect(engine).toMatchObject({ parallel: 3, contextTokens: 300 })
    expect(engine.threads).toBeGreaterThan(0)
    expect(phases.map((step) => step.phase)).toContain('reading weights')
    expect(phases.at(-1)?.phase).toBe('warming up')
    expect(await engine.healthy(new AbortController().signal)).toBe(true)
    await engine.stop()
    const cached = JSON.parse(readFileSync(join(home.cache, 'embedded-threads.json'), 'utf8')) as Record<
      string,
      { decode: number }
    >
    expect(Object.values(cached)[0]?.decode).toBe(engine.threads)
  })

  test('is gone after stop, which may be called twice', async () => {
    const engine = await driver.launch({ ...launchDefaults, modelPath: file('good.gguf') })
    await Promise.all([engine.stop(), engine.stop()])
    expect(alive(engine.pid)).toBe(false)
    expect((await engine.exited).reason).toBe('The engine was stopped.')
    expect(await engine.healthy(new AbortController().signal)).toBe(false)
  })

  test('that is killed tells so', async () => {
    const engine = await driver.launch({ ...launchDefaults, modelPath: file('good.gguf') })
    process.kill(engine.pid, 'SIGKILL')
    expect(await engine.exited).toMatchObject({
      signal: 'SIGKILL',
      reason: expect.stringContaining('was killed'),
    })
  })

  test('does not start when the launch was cancelled, and ends when it is cancelled midway', async () => {
    const before = AbortSignal.abort(new Error('changed my mind'))
    await expect(
      driver.launch({ ...launchDefaults, modelPath: file('good.gguf'), signal: before }),
    ).rejects.toThrow('changed my mind')
    const midway = new AbortController()
    const launch = driver.launch({
      ...launchDefaults,
      modelPath: file('good.gguf'),
      signal: midway.signal,
      onProgress: () => midway.abort(new Error('midway')),
    })
    await expect(launch).rejects.toThrow('midway')
  })

  test('does not outlive a parent that is killed', async () => {
    const script = file('parent.mjs')
    const dist = (path: string): string => pathToFileURL(join(process.cwd(), 'dist', path)).href
    writeFileSync(
      script,
      `import { embeddedDriver } from '${dist('engines/embedded/index.js')}'
       const home = ${JSON.stringify({ ...home, remove: undefined })}
       const spec = { modelId: 'm', modelPath: ${JSON.stringify(file('good.gguf'))}, contextTokens: null, parallel: 1, threads: 1, embedding: false, onProgress() {}, onLog() {}, signal: new AbortController().signal }
       const engine = await embeddedDriver(home).launch(spec)
       process.stdout.write(engine.pid + '\\n')
       setInterval(() => undefined, 1000)`,
    )
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    expect(alive(pid)).toBe(true)
    parent.kill('SIGKILL')
    await untilGone(pid)
  })
})
