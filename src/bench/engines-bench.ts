/**
 * The embedded engine against llama-server: the same llama.cpp, the same weights (random, in the shape of a 0.5B model),
 * taking turns in one run. Speeds are what a client sees on the wire, so each engine pays for its own HTTP, JSON and
 * per-token work. Once with one thread each, which compares the work, and once with the count that each is given when
 * nobody says. Two llama-servers are compared with: `native`, compiled on this machine, and `same-build`, linked to the
 * libraries of the engine pack itself, which alone tells what our code costs. The latter is built by --same-build (a few
 * minutes, once), and used from then on. Read the ratios, and on a busy machine the CPU per token.
 *
 * `node dist/bench/engines-bench.js [--json] [--rounds N] [--threads 1,own] [--same-build] [--control]`, with HOLON_HOME
 * naming where the engines are installed. --control starts the same-build server a second time: how far the ratios to
 * the two differ is what the machine's noise makes of equal programs.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { request } from 'undici'
import { homeAt } from '../core/home.ts'
import { median } from '../core/median.ts'
import { formatBytes } from '../core/units.ts'
import { embeddedDriver } from '../engines/embedded/index.ts'
import type { EngineDriver, EngineProcess } from '../engines/engine.ts'
import { llamaServerDriver } from '../engines/llama-server/index.ts'
import { buildSameBuild, sameBuildPlace } from './engines/same-build.ts'
import { halfBillion, neverEnding, writeRandomGguf } from './random-gguf.ts'

interface Speeds {
  /** Tokens per second of reading a prompt of about 600 tokens, to the first token out. */
  prefill: number
  /** Tokens per second of one stream, between its first and last token. */
  decode: number
  /** Tokens per second of four streams together. */
  fourStreams: number
  /** CPU of the engine per token of the one stream, prompt not counted, milliseconds; NaN where there is no /proc. */
  cpuMs: number
  /** The same for four streams. */
  fourCpuMs: number
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1,own' },
    'same-build': { type: 'boolean', default: false },
    control: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const turnsPerRound = 4
const answerTokens = 64

interface Prompts {
  /** About 600 tokens. */
  long: string
  short: readonly string[]
}

/**
 * Prompts that no earlier one began with, so that no prefix cache helps; the same for every engine of a turn. With
 * random weights what a prompt says decides how much work its attention is: with prompts of their own, equal engines
 * differed by a tenth.
 */
function freshPrompts(): Prompts {
  const words = Array.from({ length: 260 }, () => Math.random().toString(36).slice(2, 4))
  return { long: words.join(' '), short: Array.from({ length: 4 }, () => Math.random().toString(36)) }
}

interface Streamed {
  /** CPU of the engine between the first and the last token, milliseconds. */
  cpuMs: number
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
      ...neverEnding(halfBillion),
    }),
  })
  const seen: Streamed = { cpuMs: 0, firstAt: 0, lastAt: 0, tokens: 0, promptTokens: 0 }
  let text = ''
  for await (const chunk of body) {
    seen.lastAt = performance.now()
    if (seen.firstAt === 0) {
      seen.firstAt = seen.lastAt
      seen.cpuMs = -cpuOf(engine)
    }
    text += chunk
  }
  seen.cpuMs += cpuOf(engine)
  const usage = text.match(/"usage":(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/)?.[1]
  if (!usage) throw new Error(`The answer carried no usage: ${text.slice(-300)}`)
  const counts = JSON.parse(usage) as { completion_tokens: number; prompt_tokens: number }
  return { ...seen, tokens: counts.completion_tokens, promptTokens: counts.prompt_tokens }
}

const ticksPerS = process.platform === 'linux' ? Number(execFileSync('getconf', ['CLK_TCK'])) : Number.NaN

/** CPU of all threads so far, milliseconds in steps of a tick (10 ms). */
function cpuOf(engine: EngineProcess): number {
  if (process.platform !== 'linux') return Number.NaN
  const stat = readFileSync(`/proc/${engine.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerS) * 1000
}

async function measure(engine: EngineProcess, prompts: Prompts): Promise<Speeds> {
  const started = performance.now()
  const one = await stream(engine, prompts.long, answerTokens)
  const prefill = one.promptTokens / ((one.firstAt - started) / 1000)
  const decode = (one.tokens - 1) / ((one.lastAt - one.firstAt) / 1000)
  const cpuMs = one.cpuMs / (one.tokens - 1)
  const before = cpuOf(engine)
  const all = await Promise.all(prompts.short.map((prompt) => stream(engine, prompt, answerTokens)))
  const first = Math.min(...all.map((each) => each.firstAt))
  const last = Math.max(...all.map((each) => each.lastAt))
  const tokens = all.reduce((sum, each) => sum + each.tokens, 0)
  const fourStreams = (tokens - 4) / ((last - first) / 1000)
  return { prefill, decode, fourStreams, cpuMs, fourCpuMs: (cpuOf(engine) - before) / tokens }
}

interface Setting {
  threads: string
  /** What each engine said it uses; null when it does not say. */
  used: Record<string, number | null>
  /** The build of ggml's CPU code that each loaded; null when it is linked in, or there is no /proc. */
  variants: Record<string, string | null>
  results: Map<string, Speeds[]>
}

/** The engines compared, ours first. */
async function contenders(): Promise<Map<string, EngineDriver>> {
  const home = homeAt(process.env.HOLON_HOME ?? join(homedir(), '.cache', 'holon'))
  const { signal } = new AbortController()
  const engines = new Map<string, EngineDriver>([['embedded', embeddedDriver(home)]])
  if (values['same-build'])
    await buildSameBuild(home, { onLine: (line) => process.stderr.write(`${line}\n`), signal })
  const same = sameBuildPlace(home)
  const sameDriver = (): EngineDriver => llamaServerDriver(home, () => [same])
  if (existsSync(same)) {
    engines.set('same-build', sameDriver())
    if (values.control) engines.set('same-build-again', sameDriver())
  }
  engines.set('native', llamaServerDriver(home))
  for (const [id, driver] of engines) {
    if (!id.startsWith('same-build')) await driver.install({ onProgress: () => undefined, signal })
  }
  return engines
}

/** All engines with one choice of threads, taking turns. */
async function compare(modelPath: string, threads: string): Promise<Setting> {
  const drivers = [...(await contenders())]
  const setting: Setting = {
    threads,
    used: {},
    variants: {},
    results: new Map(drivers.map(([id]) => [id, []])),
  }
  for (let round = 0; round < rounds; round++) await oneRound(setting, drivers, modelPath)
  return setting
}

/**
 * Launches every engine, lets them take turns, and ends them. Launched anew in each round: the memory that a launch
 * happens to get makes equal programs differ for as long as they run. All at once, one waiting while another is
 * measured: turns that a launch keeps apart compare what the machine was at different times.
 */
async function oneRound(
  setting: Setting,
  drivers: readonly (readonly [string, EngineDriver])[],
  modelPath: string,
): Promise<void> {
  const engines: [string, EngineProcess][] = []
  try {
    for (const [id, driver] of drivers) {
      const engine = await launch(driver, modelPath, setting.threads)
      engines.push([id, engine])
      setting.used[id] = engine.threads
      setting.variants[id] = cpuVariant(engine.pid)
    }
    for (let turn = 0; turn < turnsPerRound; turn++) {
      const prompts = freshPrompts()
      // There and back, so that a machine that slows down is unfair to nobody.
      for (const [id, engine] of turn % 2 ? engines.toReversed() : engines) {
        setting.results.get(id)?.push(await measure(engine, prompts))
      }
    }
  } finally {
    await Promise.all(engines.map(([, engine]) => engine.stop()))
  }
}

async function launch(driver: EngineDriver, modelPath: string, threads: string): Promise<EngineProcess> {
  const engine = await driver.launch({
    modelId: 'half-billion',
    modelPath,
    contextTokens: 2048,
    parallel: 4,
    threads: threads === 'own' ? null : Number(threads),
    embedding: false,
    onProgress: () => undefined,
    onLog: () => undefined,
    signal: new AbortController().signal,
  })
  // Warm-up, not counted, and as long as a turn: JavaScript is compiled while it runs.
  await measure(engine, freshPrompts())
  return engine
}

function cpuVariant(pid: number): string | null {
  if (process.platform !== 'linux') return null
  return /libggml-cpu-(\w+)\.so/.exec(readFileSync(`/proc/${pid}/maps`, 'utf8'))?.[1] ?? null
}

const kinds = ['prefill', 'decode', 'fourStreams', 'cpuMs', 'fourCpuMs'] as const
const titles: Record<keyof Speeds, string> = {
  prefill: 'prefill, tokens/s',
  decode: 'decode, tokens/s',
  fourStreams: 'four streams, tokens/s',
  cpuMs: 'decode, CPU ms/token',
  fourCpuMs: 'four streams, CPU ms/token',
}

/** The middle of the ratios of neighbouring turns. */
function ratioOf({ results }: Setting, other: string, what: keyof Speeds): number {
  const theirs = results.get(other) ?? []
  return median(
    (results.get('embedded') ?? []).map((own, round) => own[what] / (theirs[round]?.[what] ?? Number.NaN)),
  )
}

function others({ results }: Setting): string[] {
  return [...results.keys()].filter((id) => id !== 'embedded')
}

function middle({ results }: Setting, id: string, what: keyof Speeds): number {
  return median((results.get(id) ?? []).map((speeds) => speeds[what]))
}

function toText(setting: Setting): string {
  const ids = [...setting.results.keys()]
  const used = ids.map((id) => {
    const variant = setting.variants[id]
    return `${id} ${setting.used[id] ?? 'its default'}${variant ? ` (CPU code for ${variant})` : ''}`
  })
  const lines = [
    `${setting.threads === 'own' ? "each engine's own choice of threads" : 'threads'}: ${used.join(', ')}`,
  ]
  for (const what of kinds) {
    const cells = ids.map((id) => `${id} ${middle(setting, id, what).toFixed(1).padStart(6)}`).join('   ')
    const ratios = others(setting).map((id) => `${ratioOf(setting, id, what).toFixed(2)} of ${id}`)
    lines.push(`  ${titles[what].padEnd(28)}${cells}   embedded is ${ratios.join(', ')}`)
  }
  return `${lines.join('\n')}\n`
}

function toJson(settings: readonly Setting[], size: number): string {
  const told = settings.map((setting) => ({
    threads: setting.threads,
    used: setting.used,
    variants: setting.variants,
    medians: Object.fromEntries(
      [...setting.results.keys()].map((id) => [
        id,
        Object.fromEntries(kinds.map((what) => [what, middle(setting, id, what)])),
      ]),
    ),
    ratios: Object.fromEntries(
      others(setting).map((id) => [
        id,
        Object.fromEntries(kinds.map((what) => [what, ratioOf(setting, id, what)])),
      ]),
    ),
  }))
  return `${JSON.stringify({ modelBytes: size, rounds, settings: told }, null, 2)}\n`
}

const folder = mkdtempSync(join(tmpdir(), 'holon-bench-'))
try {
  const modelPath = join(folder, 'half-billion-Q4_0.gguf')
  const size = writeRandomGguf(modelPath, { ...halfBillion, type: 'Q4_0' })
  const settings: Setting[] = []
  if (!values.json) {
    const what = `0.5B-shaped random weights, Q4_0, ${formatBytes(size)}`
    process.stdout.write(
      `${what}; medians of ${rounds} rounds of ${turnsPerRound} turns, tokens/s as a client sees them\n`,
    )
  }
  for (const threads of values.threads.split(',')) {
    const setting = await compare(modelPath, threads)
    settings.push(setting)
    // Told as it comes: on a busy machine the whole takes minutes.
    if (!values.json) process.stdout.write(toText(setting))
  }
  if (values.json) process.stdout.write(toJson(settings, size))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
