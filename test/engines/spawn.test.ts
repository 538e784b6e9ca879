import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeExit, spawnChild } from '../../src/engines/shared/spawn.ts'
import { Guard, spawnGuarded } from '../../src/engines/shared/spawn-guarded.ts'
import { descendants, eventually } from '../support/cli.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holon-spawn-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A program that says its number, ignores SIGTERM when asked to, and has a child of its own when asked to. */
const program = `
if (process.argv.includes('stubborn')) process.on('SIGTERM', () => undefined)
if (process.argv.includes('parent')) {
  const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
  console.log('child ' + child.pid)
}
console.log('pid ' + process.pid)
setInterval(() => undefined, 1000)`

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

/** Collects lines and waits for one that says a number. */
function numbers(): { onLine(line: string): void; of(name: string): Promise<number> } {
  const lines: string[] = []
  return {
    onLine: (line) => lines.push(line),
    of: async (name) => {
      for (;;) {
        const line = lines.find((each) => each.startsWith(`${name} `))
        if (line) return Number(line.split(' ')[1])
        await sleep(5)
      }
    },
  }
}

describe('a spawned program', () => {
  test('that ignores SIGTERM is killed after the grace', async () => {
    const said = numbers()
    const child = await spawnChild({
      command: process.execPath,
      args: ['-e', program, 'stubborn'],
      onLine: said.onLine,
    })
    await said.of('pid')
    await child.stop(50)
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL', reason: 'The engine was stopped.' })
  })

  test('takes its children along', async () => {
    const said = numbers()
    const child = await spawnChild({
      command: process.execPath,
      args: ['-e', program, 'parent'],
      onLine: said.onLine,
    })
    const grandchild = await said.of('child')
    await child.stop()
    await untilGone(grandchild)
  })

  test('that cannot be started fails the spawn', async () => {
    await expect(spawnChild({ command: join(folder, 'nothing'), args: [] })).rejects.toThrow('ENOENT')
  })

  test('keeps its last lines and no more', async () => {
    const script = 'for (let i = 0; i < 500; i++) console.log("line " + i); console.error("error: the end")'
    const child = await spawnChild({ command: process.execPath, args: ['-e', script] })
    const exit = await child.exited
    await sleep(50)
    expect(child.lastLines().length).toBeLessThanOrEqual(60)
    expect(exit.code).toBe(0)
  })
})

describe('a guarded program', () => {
  test('ends with its guard, and has a number of its own', async () => {
    const said = numbers()
    const child = await spawnGuarded({
      command: process.execPath,
      args: ['-e', program],
      onLine: said.onLine,
    })
    expect(await said.of('pid')).toBe(child.enginePid)
    await child.stop()
    expect(alive(child.enginePid)).toBe(false)
  })

  test('that dies tells how through its guard', async () => {
    const child = await spawnGuarded({
      command: process.execPath,
      args: ['-e', 'setTimeout(() => process.exit(7), 300)'],
    })
    expect(await child.exited).toMatchObject({ code: 7 })
    const killed = await spawnGuarded({ command: process.execPath, args: ['-e', program] })
    process.kill(killed.enginePid, 'SIGKILL')
    expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' })
  })

  test('that cannot be started says so', async () => {
    const child = await spawnGuarded({ command: join(folder, 'nothing'), args: [] })
    expect(await child.exited).toMatchObject({ code: 127 })
  })

  test('finds a guard that was up before it, and one that waits in vain is gone when it is dropped', async () => {
    const guard = new Guard()
    await sleep(200)
    const said = numbers()
    const child = await guard.run({
      command: process.execPath,
      args: ['-e', program],
      onLine: said.onLine,
    })
    expect(await said.of('pid')).toBe(child.enginePid)
    // It has a program: dropping it is too late.
    await guard.drop()
    expect(alive(child.enginePid)).toBe(true)
    await child.stop()
    expect([alive(child.enginePid), alive(child.pid)]).toEqual([false, false])

    const before = descendants(process.pid)
    const idle = new Guard()
    await eventually('a guard', () => descendants(process.pid).length > before.length)
    await idle.drop()
    const after = descendants(process.pid)
    expect(after.filter((pid) => !before.includes(pid))).toEqual([])
  })

  test.each(['plain', 'stubborn'])('does not outlive a parent that is killed (%s)', async (kind) => {
    const script = join(folder, 'parent.mjs')
    const entry = pathToFileURL(join(process.cwd(), 'dist/engines/shared/spawn-guarded.js')).href
    writeFileSync(
      script,
      `import { Guard, spawnGuarded } from '${entry}'
       const child = await spawnGuarded({ command: process.execPath, args: ['-e', ${JSON.stringify(program)}, '${kind}'] })
       process.stdout.write(child.enginePid + '\\n')
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

test('what a guarded program has started does not outlive a parent that is killed either', async () => {
  const script = join(folder, 'grandparent.mjs')
  const entry = pathToFileURL(join(process.cwd(), 'dist/engines/shared/spawn-guarded.js')).href
  writeFileSync(
    script,
    `import { spawnGuarded } from '${entry}'
     const onLine = (line) => process.stdout.write(line + '\\n')
     await spawnGuarded({ command: process.execPath, args: ['-e', ${JSON.stringify(program)}, 'parent'], onLine })
     setInterval(() => undefined, 1000)`,
  )
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  parent.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  while (!/child \d+\npid \d+/.test(out)) await sleep(5)
  const pids = [...out.matchAll(/(?:child|pid) (\d+)/g)].map(([, pid]) => Number(pid))
  expect(pids.map(alive)).toEqual([true, true])
  parent.kill('SIGKILL')
  for (const pid of pids) await untilGone(pid)
})

describe('how a program ended', () => {
  test.each<[number | null, string | null, string[], string]>([
    [0, null, [], 'The engine ended.'],
    [1, null, ['loading', 'error: no such file'], 'The engine ended with code 1: error: no such file'],
    [null, 'SIGSEGV', [], 'The engine crashed (memory fault).'],
    [null, 'SIGKILL', [], 'The engine was killed (by someone, or by the system for want of memory).'],
    [null, 'SIGABRT', ['GGML_ASSERT(x) failed'], 'The engine gave up (abort): GGML_ASSERT(x) failed'],
  ])('code %j and signal %j after %j is "%s"', (code, signal, lines, sentence) => {
    expect(describeExit(code, signal, lines)).toBe(sentence)
  })
})
