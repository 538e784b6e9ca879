/** A pool on machines of a `FleetLan`: what its owner sees of it, what a client hears from it, and its processes. */
import { readFileSync } from 'node:fs'
import type { PoolView } from '../../src/protocol/pools.ts'
import { descendants } from './cli.ts'
import { clientLibrary, type DeskProgram, type FleetLan } from './fleet-lan.ts'

export interface Answer {
  text: string
  node: string | null
  error: string | null
}

export async function poolOn(net: FleetLan, name: string): Promise<PoolView | undefined> {
  const { pools } = (await net.get('/fleet/v1/pools')) as { pools: PoolView[] }
  return pools.find((pool) => pool.name === name)
}

/**
 * Asks through the real client, as a stream; prints `begun` at the first token. Its answer is an `Answer`.
 * @param more further settings, as what keeps a model of random weights from ending early
 */
export function questionOn(net: FleetLan, model: string, maxTokens: number, more: object = {}): DeskProgram {
  return net.runOnDesk(`
    import OpenAI from '${clientLibrary('openai/index.mjs')}'
    const client = new OpenAI({ baseURL: '${net.url}/v1', apiKey: '${net.key}', maxRetries: 0 })
    let text = '', error = null, node = null
    try {
      const { data, response } = await client.completions.create({
        model: '${model}', stream: true, temperature: 0, max_tokens: ${maxTokens}, prompt: 'The machines are',
        ...${JSON.stringify(more)},
      }).withResponse()
      node = response.headers.get('x-holon-node')
      for await (const chunk of data) {
        if (text === '') console.log('begun')
        text += chunk.choices[0]?.text ?? ''
      }
    } catch (thrown) { error = String(thrown) }
    console.log(JSON.stringify({ text, node, error }))
  `)
}

/** The same in the words of a chat, for engines that know no other. */
export function chatOn(net: FleetLan, model: string, content: string): DeskProgram {
  return net.runOnDesk(`
    import OpenAI from '${clientLibrary('openai/index.mjs')}'
    const client = new OpenAI({ baseURL: '${net.url}/v1', apiKey: '${net.key}', maxRetries: 0 })
    let text = '', error = null, node = null
    try {
      const { data, response } = await client.chat.completions.create({
        model: '${model}', stream: true, messages: [{ role: 'user', content: '${content}' }],
      }).withResponse()
      node = response.headers.get('x-holon-node')
      for await (const chunk of data) {
        if (text === '') console.log('begun')
        text += chunk.choices[0]?.delta.content ?? ''
      }
    } catch (thrown) { error = String(thrown) }
    console.log(JSON.stringify({ text, node, error }))
  `)
}

export async function askOn(net: FleetLan, model: string, more?: object): Promise<Answer> {
  return (await questionOn(net, model, 16, more).answer) as Answer
}

/** When the group of any pool began to serve and when it left, oldest first. */
export async function poolEvents(net: FleetLan): Promise<string[]> {
  const { events } = (await net.get('/fleet/v1/history')) as { events: { type: string }[] }
  return events
    .map(({ type }) => type)
    .filter((type) => type === 'pool.ready' || type === 'pool.left')
    .reverse()
}

/** Processes below an agent whose command line, words apart by spaces, is like this. */
export function processesOn(net: FleetLan, name: string, like: RegExp): number[] {
  const { pid = 0 } = net.agents[name]!.child
  return descendants(pid).filter((each) => like.test(commandLineOf(each)))
}

/** Empty when it has ended. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
