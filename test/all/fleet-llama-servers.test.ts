import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNamespaces } from '../../src/bench/lab/namespaces.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { eventually } from '../support/cli.ts'
import { testHome } from '../support/engine-home.ts'
import { FleetLan } from '../support/fleet-lan.ts'
import { writeSayingGguf } from '../support/saying-gguf.ts'

/**
 * The proof of the fleet: three machines with real llama-servers behind one hub, and the three real client libraries at
 * once on a fifth. Then a cable is pulled in the middle of everything.
 */
const missing = whyNoNamespaces()
const names = ['oak', 'elm', 'ash']
const clients = ['anthropic', 'ollama', 'openai']
let lan: FleetLan

interface Answer {
  client: string
  model: string
  text: string
  calls: { name: string; input: unknown }[]
  ended: string | null
  error: { kind: string; message: string } | null
}
interface Job {
  models: string[]
  prompt: string
  maxTokens: number
  tools?: boolean
}

/** Every model asked by every library, all at once. */
function ask(jobs: Job[]): { begun: Promise<void>; answers: Promise<Answer[]> } {
  const desk = new URL('../support/desk-clients.mjs', import.meta.url).href
  const program = lan.runOnDesk(`
    import { askAll } from '${desk}'
    const answers = await askAll(
      ${JSON.stringify({ url: lan.url, key: lan.key, jobs })}, () => console.log('all have begun'),
    )
    console.log(JSON.stringify(answers))
  `)
  return { begun: program.until('all have begun'), answers: program.answer as Promise<Answer[]> }
}

/** A home with models of its own: one that talks, one that calls a tool, one that does not come to an end. */
function homeOf(name: string): string {
  const home = lan.fleet.home('shared', `talker-${name}`)
  const models = join(home, 'models')
  mkdirSync(models, { recursive: true })
  writeSayingGguf(join(models, `caller-${name}.gguf`), [
    '<tool_call>',
    '\n{"name": "weather", "arguments": ',
    '{"city": "Bern"}',
    '}\n',
    '</tool_call>',
  ])
  writeSayingGguf(join(models, `endless-${name}.gguf`), ['tick ', 'tock '], {
    endless: true,
    width: 512,
    layers: 8,
  })
  return home
}

describe.skipIf(missing !== null)(
  `three llama-servers behind one hub${missing ? ` (${missing})` : ''}`,
  () => {
    beforeAll(async () => {
      const engines = testHome()
      await llamaServerDriver(engines).install({
        onProgress: () => undefined,
        signal: new AbortController().signal,
      })
      engines.remove()
      lan = new FleetLan('10.213.8')
      await lan.up()
      const env = { HOLON_ENGINE: 'llama-server' }
      const oak = lan.join('oak', { args: ['--token', await lan.token()], home: homeOf('oak'), env })
      await oak.until(/Connected to/)
      for (const name of ['elm', 'ash']) {
        const running = lan.join(name, { home: homeOf(name), env })
        expect(await lan.approve(await lan.pageOf(running), 'approve', lan.key)).toBe(200)
        await running.until(/Connected to/)
      }
      await lan.untilReady(...names)
    }, 20 * 60_000)
    afterAll(() => lan?.end(), 60_000)

    test('three libraries are answered at once by all of them, with streams and tool calls', async () => {
      const answers = await ask([
        { models: names.map((name) => `talker-${name}`), prompt: 'What is Holon?', maxTokens: 60 },
        { models: names.map((name) => `caller-${name}`), prompt: 'Weather?', maxTokens: 60, tools: true },
      ]).answers
      expect(answers).toHaveLength(18)
      for (const { client, model, text, calls, ended, error } of answers) {
        expect({ client, model, error }).toEqual({ client, model, error: null })
        if (model.startsWith('talker')) expect(text).toMatch(/[a-z]{3}/)
        else {
          expect(calls).toEqual([{ name: 'weather', input: { city: 'Bern' } }])
          // Ollama has no word for it.
          expect(ended).toBe({ openai: 'tool_calls', anthropic: 'tool_use', ollama: 'stop' }[client])
        }
      }
      const { models } = (await lan.get('/fleet/v1/ps')) as { models: { id: string; engine: string }[] }
      const theirs = models.filter(({ id }) => /-(oak|elm|ash)$/.test(id))
      expect(theirs).toHaveLength(6)
      expect(theirs.every(({ engine }) => engine === 'llama-server')).toBe(true)
    }, 240_000)

    test('one is unplugged in mid-answer: its answers end with a clear error, the others are whole', async () => {
      const endless = names.map((name) => `endless-${name}`)
      for (const model of [...endless, 'shared']) expect((await lan.owner(['load', model])).code).toBe(0)
      const asked = ask([{ models: endless, prompt: 'Go on.', maxTokens: 1500 }])
      await asked.begun
      lan.machines.oak!.unplug()
      const answers = await asked.answers
      for (const { client, model, text, ended, error } of answers) {
        // Not a word is lost, doubled or out of its place, up to the end or to the cut.
        expect('tick tock '.repeat(750).startsWith(text)).toBe(true)
        if (model === 'endless-oak') {
          expect({ client, ended }).toEqual({ client, ended: null })
          expect(error?.message).toMatch(/oak/)
          expect(text.length).toBeLessThan(7500)
        } else {
          expect({ client, model, error, length: text.length }).toEqual({
            ...{ client, model },
            error: null,
            length: 7500,
          })
          expect(ended).toBe({ openai: 'length', anthropic: 'max_tokens', ollama: 'length' }[client])
        }
      }
      expect(
        answers
          .filter(({ error }) => error !== null)
          .map(({ client }) => client)
          .sort(),
      ).toEqual(clients)
    }, 240_000)

    test('the fleet goes on without it, and takes it back when it is there again', async () => {
      const without = await ask([{ models: ['shared'], prompt: 'What is Holon?', maxTokens: 30 }]).answers
      expect(without.map(({ error }) => error)).toEqual([null, null, null])
      await eventually('oak to be given up', async () => (await lan.phases()).oak === 'gone', 30_000)
      const gone = await ask([{ models: ['endless-oak'], prompt: 'Go on.', maxTokens: 5 }]).answers
      // Nobody waits for what is not there.
      for (const { error } of gone) expect(error?.message).toMatch(/endless-oak/)
      lan.machines.oak!.plugIn()
      await lan.untilReady(...names)
      const back = await ask([{ models: ['endless-oak'], prompt: 'Go on.', maxTokens: 4 }]).answers
      for (const { text, error } of back)
        expect({ text, error }).toEqual({ text: 'tick tock tick tock ', error: null })
    }, 240_000)
  },
)
