/**
 * From `npm start` on a warm install to the first token of the demonstration model, as an owner meets it: npm, the
 * checks for what is missing, the hub, the engine, the model. The request is sent as soon as the address is printed.
 *
 * `node dist/bench/start-bench.js [--json] [--rounds N]`
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { request } from 'undici'
import { median } from '../core/median.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, rounds: { type: 'string', default: '5' } },
})
const root = fileURLToPath(new URL('../..', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'holon-bench-'))
const engines = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon', 'engines')
mkdirSync(engines, { recursive: true })
symlinkSync(engines, join(home, 'engines'), 'dir')

interface Start {
  /** Seconds from the command to the printed address. */
  address: number
  /** Seconds from the command to the first byte of text. */
  firstToken: number
}

async function start(engine: string): Promise<Start> {
  const began = performance.now()
  const child = spawn('npm', ['start', '--silent', '--', '--no-open'], {
    cwd: root,
    env: { ...process.env, HOLON_HOME: home, HOLON_PORT: '0', HOLON_ENGINE: engine },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  try {
    const url = await addressOf(child)
    const address = (performance.now() - began) / 1000
    await firstText(url)
    return { address, firstToken: (performance.now() - began) / 1000 }
  } finally {
    const ended = new Promise((resolve) => child.once('close', resolve))
    // The whole group: npm does not pass every signal on to what it started.
    if (child.pid && child.exitCode === null) process.kill(-child.pid, 'SIGTERM')
    await (child.exitCode === null ? ended : undefined)
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      seen += text
      const found = seen.match(/Holon is up at (http:\S+)/)
      if (found?.[1]) resolve(found[1])
    })
    child.once('close', () => reject(new Error(`npm start ended: ${seen}`)))
  })
}

async function firstText(url: string): Promise<void> {
  const { body, statusCode } = await request(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'holon-demo',
      stream: true,
      messages: [{ role: 'user', content: 'What is Holon?' }],
    }),
  })
  if (statusCode !== 200) throw new Error(`${statusCode}: ${await body.text()}`)
  let text = ''
  for await (const chunk of body) {
    text += chunk
    if (/"content":"[^"]/.test(text)) break
  }
}

try {
  const results: Record<string, Start> = {}
  for (const engine of ['embedded', 'llama-server']) {
    await start(engine) // Warm: the engine pack is fetched, the store made, the thread count measured.
    const runs: Start[] = []
    for (let round = 0; round < Number(values.rounds); round++) runs.push(await start(engine))
    results[engine] = {
      address: median(runs.map((run) => run.address)),
      firstToken: median(runs.map((run) => run.firstToken)),
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
  else {
    process.stdout.write(
      `npm start on a warm install, medians of ${values.rounds} rounds, seconds from the command\n`,
    )
    for (const [engine, { address, firstToken }] of Object.entries(results)) {
      process.stdout.write(
        `${engine.padEnd(14)} address ${address.toFixed(2)}   first token ${firstToken.toFixed(2)}\n`,
      )
    }
  }
} finally {
  rmSync(home, { recursive: true, force: true })
}
