import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Agent, createAgent } from '../../src/agent/agent.ts'
import { createModelStore } from '../../src/agent/models/model-store.ts'
import { type RandomGguf, writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { systemClock } from '../../src/core/clock.ts'
import { homeAt } from '../../src/core/home.ts'
import { silentLog } from '../../src/core/log.ts'
import { createDrivers } from '../../src/engines/index.ts'
import type { EngineLease } from '../../src/protocol/node.ts'
import { makeTestHome } from '../support/home.ts'

/** The agent over the engines themselves: what the fake one cannot prove. */
const engines = ['embedded', 'llama-server']

let home: ReturnType<typeof makeTestHome>
let agent: Agent | null = null
beforeEach(() => {
  home = makeTestHome()
  mkdirSync(join(home.root, 'models'))
})
afterEach(async () => {
  await agent?.close()
  home.remove()
})

async function start(prefer: string, budgetBytes = 4e9): Promise<Agent> {
  const at = homeAt(home.root)
  agent = await createAgent({
    home: at,
    drivers: createDrivers({ home: at, log: silentLog }).filter(({ id }) => id === prefer),
    models: createModelStore({ home: at, demoPath: null }),
    memoryBudgetBytes: () => budgetBytes,
    clock: systemClock,
    log: silentLog,
    limits: { failureHoldMs: 0 },
  })
  return agent
}
const put = (name: string, model: RandomGguf = {}): string => {
  const path = join(home.root, 'models', `${name}.gguf`)
  writeRandomGguf(path, model)
  return path
}
const acquire = (from: Agent, model: string): Promise<EngineLease> =>
  from.acquire(model, { signal: new AbortController().signal })

async function ask(lease: EngineLease): Promise<number> {
  const response = await fetch(`${lease.origin}/v1/completions`, {
    method: 'POST',
    headers: { ...lease.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ model: lease.model, prompt: 'Once', max_tokens: 4 }),
  })
  const body = (await response.json()) as { usage: { completion_tokens: number } }
  return body.usage.completion_tokens
}

describe.each(engines)('the agent over %s', (engine) => {
  test('loads, answers, reloads with other settings, restarts after a kill, and ends', async () => {
    put('Tiny')
    const node = await start(engine)
    const lease = await acquire(node, 'Tiny')
    expect(await ask(lease)).toBeGreaterThan(0)
    lease.release()
    await node.load('Tiny', { contextTokens: 256, parallel: 2 })
    const running = node.ps()[0]
    expect(running).toMatchObject({ engine, contextTokens: 256, parallel: 2 })
    const held = await acquire(node, 'Tiny')
    process.kill(running!.pid!, 'SIGKILL')
    expect(await held.died).toMatch(/killed/)
    const again = await acquire(node, 'Tiny')
    expect(await ask(again)).toBeGreaterThan(0)
    const { pid } = node.ps()[0]!
    await node.close()
    expect(() => process.kill(pid!, 0)).toThrow()
  })

  test('says what is wrong with a bad model, and serves the next one', async () => {
    put('Good')
    put('Alien', { architecture: 'nobody-knows-me' })
    truncateSync(put('Cut'), 20_000)
    writeFileSync(join(home.root, 'models', 'Garbage.gguf'), 'GGUF is what this is not')
    const node = await start(engine)
    for (const [model, code] of [
      ['Alien', /model_(file_invalid|load_failed)/],
      ['Cut', /model_file_invalid/],
      ['Garbage', /model_file_invalid/],
    ] as const) {
      const error = await acquire(node, model).catch((thrown) => thrown)
      expect(error.code).toMatch(code)
      expect(error.message).toMatch(/^[A-Z/].{20,}/)
    }
    const lease = await acquire(node, 'Good')
    expect(await ask(lease)).toBeGreaterThan(0)
  })

  test('refuses with numbers what is too big, before an engine is started', async () => {
    put('Tiny')
    const node = await start(engine, 1e6)
    await expect(acquire(node, 'Tiny')).rejects.toMatchObject({
      code: 'model_too_big',
      message: expect.stringMatching(/needs .* MB .*1\.00 MB/),
    })
  })
})
