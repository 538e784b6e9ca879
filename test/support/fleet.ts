/** A hub and its nodes as real processes, for tests across machines that are all this one. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, type Running, runCli, startCli, type Where } from './cli.ts'
import { makeTestHome } from './home.ts'

const demo = fileURLToPath(new URL('../../assets/holon-demo.gguf', import.meta.url))

export interface TestHub {
  url: string
  running: Running
  env: Record<string, string>
  nodes(): Promise<{ id: string; name: string; state: string; link?: { phase: string } }[]>
  token(): Promise<string>
}

export interface TestNode {
  home: string
  running: Running
}

/** Starts processes and ends every one of them, by `end`. */
export class TestFleet {
  private readonly ends: (() => Promise<void>)[] = []

  /** A fresh HOLON_HOME, with the demonstration model under other names when they are given. */
  home(...models: string[]): string {
    const home = makeTestHome()
    this.ends.push(async () => home.remove())
    if (models.length > 0) mkdirSync(join(home.root, 'models'), { recursive: true })
    for (const model of models) copyFileSync(demo, join(home.root, 'models', `${model}.gguf`))
    return home.root
  }

  start(args: string[], env: Record<string, string>, where?: Where): Running {
    const running = startCli(args, { HOLON_ENGINE: 'embedded', ...env }, where)
    this.ends.push(async () => {
      running.child.kill('SIGKILL')
      await running.finished
    })
    return running
  }

  async hub(home = this.home(), more: Record<string, string> = {}): Promise<TestHub> {
    const env = { HOLON_HOME: home, HOLON_PORT: '0', ...more }
    const running = this.start(['up', '--no-open'], env)
    const url = (await running.until(/Holon is up at (http:\S+)/))[1] ?? ''
    await running.until(/is ready on|Models:/)
    const headers: Record<string, string> = more.HOLON_API_KEY
      ? { authorization: `Bearer ${more.HOLON_API_KEY}` }
      : {}
    return {
      url,
      running,
      env,
      nodes: async () => {
        const response = await fetch(`${url}/fleet/v1/nodes`, { headers })
        return ((await response.json()) as { nodes: Awaited<ReturnType<TestHub['nodes']>> }).nodes
      },
      token: async () => {
        const made = await runCli(['nodes', 'token', '--json'], env)
        if (made.code !== 0) throw new Error(made.stderr)
        return (JSON.parse(made.stdout) as { token: string }).token
      },
    }
  }

  async node(hub: TestHub, name: string, ...models: string[]): Promise<TestNode> {
    const home = this.home(...models)
    const token = await hub.token()
    const running = this.start(['join', hub.url, '--token', token, '--name', name], { HOLON_HOME: home })
    await running.until(/Connected to/)
    await ready(hub, name)
    return { home, running }
  }

  async end(): Promise<void> {
    for (const end of this.ends.splice(0).reverse()) await end()
  }
}

export function ready(hub: TestHub, name: string): Promise<void> {
  return eventually(
    `${name} to be ready`,
    async () => (await hub.nodes()).some((node) => node.name === name && node.state === 'ready'),
    60_000,
  )
}
