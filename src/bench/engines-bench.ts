/**
 * The embedded engine against llama-server: the same llama.cpp, the same weights (random, in the shape of a 0.5B model),
 * the same threads, taking turns in one run. Speeds are what a client sees on the wire, so each engine pays for its
 * own HTTP, JSON and per-token work. Read the ratios.
 *
 * `node dist/bench/engines-bench.js [--json] [--rounds N]`, with HOLON_HOME naming where the engines are installed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { request } from 'undici'
import { homeAt } from '../core/home.ts'
import { silentLog } from '../core/log.ts'
import { median } from '../core/median.ts'
import { formatBytes } from '../core/units.ts'
import type { EngineProcess } from '../engines/engine.ts'
import { createDrivers } from '../engines/index.ts'
import { halfBillion, writeRandomGguf } from './random-gguf.ts'

interface Speeds {
  /** Tokens per second of reading a prompt of about 512 tokens, to the first token out. */
  prefill: number
  /** Tokens per second of one stream, between its first and last token. */
  decode: number
  /** Tokens per second of four streams together. */
  fourStreams: number
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
  },
})
const rounds = Number(values.rounds)
const answerTokens = 64
const endOfTurn = String((halfBillion.vocab ?? 0) - 1)

/** About 512 tokens that no earlier prompt began with, so that no prefix cache helps. */
function freshPrompt(): string {
  const words = Array.from({ length: 260 }, () => Math.random().toString(36).slice(2, 4))
  return words.join(' ')
}

interface Streamed {
  firstAt: number
  lastAt: number
  tokens: number
  promptTokens: number
}

async function stream(engine: EngineProcess, prompt: string, maxTokens: number): Promise<Streamed> {
  const { body } = await request(`${engine.origin}/v1/completions`, {
    method: 'POST',
    headers: { ...engine.headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt,
      max_tokens: maxTokens,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
      // Random weights end an answer at random; the bench wants all its tokens.
      logit_bias: { [endOfTurn]: -100 },
    }),
  })
  const seen: Streamed = { firstAt: 0, lastAt: 0, tokens: 0, promptTokens: 0 }
  let text = ''
  for await (const chunk of body) {
    seen.lastAt = performance.now()
    if (seen.firstAt === 0) seen.firstAt = seen.lastAt
    text += chunk
  }
  const usage = text.match(/"usage":(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/)?.[1]
  if (!usage) throw new Error(`The answer carried no usage: ${text.slice(-300)}`)
  const counts = JSON.parse(usage) as { completion_tokens: number; prompt_tokens: number }
  return { ...seen, tokens: counts.completion_tokens, promptTokens: counts.prompt_tokens }
}

async function measure(engine: EngineProcess): Promise<Speeds> {
  const started = performance.now()
  const one = await stream(engine, freshPrompt(), answerTokens)
  const prefill = one.promptTokens / ((one.firstAt - started) / 1000)
  const decode = (one.tokens - 1) / ((one.lastAt - one.firstAt) / 1000)
  const all = await Promise.all(
    Array.from({ length: 4 }, () => stream(engine, Math.random().toString(36), answerTokens)),
  )
  const first = Math.min(...all.map((each) => each.firstAt))
  const last = Math.max(...all.map((each) => each.lastAt))
  const tokens = all.reduce((sum, each) => sum + each.tokens, 0)
  return { prefill, decode, fourStreams: (tokens - 4) / ((last - first) / 1000) }
}

const folder = mkdtempSync(join(tmpdir(), 'holon-bench-'))
const modelPath = join(folder, 'half-billion-Q4_0.gguf')
const running = new Map<string, EngineProcess>()
try {
  const size = writeRandomGguf(modelPath, { ...halfBillion, type: 'Q4_0' })
  const home = homeAt(process.env.HOLON_HOME ?? join(homedir(), '.cache', 'holon'))
  for (const driver of createDrivers({ home, log: silentLog })) {
    await driver.install({ onProgress: () => undefined, signal: new AbortController().signal })
    const engine = await driver.launch({
      modelId: 'half-billion',
      modelPath,
      contextTokens: 2048,
      parallel: 4,
      threads: Number(values.threads),
      embedding: false,
      onProgress: () => undefined,
      onLog: () => undefined,
      signal: new AbortController().signal,
    })
    running.set(driver.id, engine)
    await measure(engine) // Warm-up, not counted.
  }
  const results = new Map<string, Speeds[]>([...running.keys()].map((id) => [id, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [id, engine] of running) results.get(id)?.push(await measure(engine))
  }
  report(results, size)
} finally {
  await Promise.all([...running.values()].map((engine) => engine.stop()))
  rmSync(folder, { recursive: true, force: true })
}

function report(results: Map<string, Speeds[]>, size: number): void {
  const middle = (id: string, what: keyof Speeds) =>
    median((results.get(id) ?? []).map((speeds) => speeds[what]))
  const kinds = ['prefill', 'decode', 'fourStreams'] as const
  const ratio = Object.fromEntries(
    kinds.map((what) => [
      what,
      median(
        (results.get('embedded') ?? []).map(
          (own, round) => own[what] / (results.get('llama-server')?.[round]?.[what] ?? Number.NaN),
        ),
      ),
    ]),
  )
  if (values.json) {
    const medians = Object.fromEntries(
      [...results.keys()].map((id) => [
        id,
        Object.fromEntries(kinds.map((what) => [what, middle(id, what)])),
      ]),
    )
    process.stdout.write(`${JSON.stringify({ modelBytes: size, rounds, medians, ratio }, null, 2)}\n`)
    return
  }
  process.stdout.write(
    `0.5B-shaped random weights, Q4_0, ${formatBytes(size)}; medians of ${rounds} rounds, tokens/s as a client sees them\n`,
  )
  for (const what of kinds) {
    const cells = [...results.keys()].map((id) => `${id} ${middle(id, what).toFixed(1)}`)
    process.stdout.write(
      `${what.padEnd(12)} ${cells.join('   ')}   embedded / llama-server ${ratio[what]?.toFixed(2)}\n`,
    )
  }
}
