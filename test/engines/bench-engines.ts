import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EngineDriver, EngineProcess } from '../../src/engines/engine.ts'
import { halfBillion, writeTinyGguf } from '../support/tiny-gguf.ts'
import { type ChatAnswer, clientOf, launchDefaults } from './embedded-engine.ts'

/**
 * Engines side by side on one 0.5B-shaped model of random weights: the same file, the same requests over HTTP,
 * rounds interleaved so that a busy machine disturbs all alike. Tokens per second, medians of the rounds.
 */
export interface EngineFigures {
  engine: string
  threads: number | null
  /** One stream, decode, as the engine itself times it and as its client sees it. */
  decodeTokS: number
  decodeSeenTokS: number
  /** A prompt of 256 tokens that is in no cache. */
  prefillTokS: number
  /** Four streams together, as clients see them. */
  fourStreamsTokS: number
  /** From launch to ready, model file in the page cache. */
  launchS: number
}

interface Runner {
  name: string
  process: EngineProcess
  launchS: number
  samples: Record<'decode' | 'seen' | 'prefill' | 'four', number[]>
}

const decodeTokens = 48
const promptTokens = 256
const endTokens = [1, 2, 3].map((back) => halfBillion.vocab! - back)
const neverEnd = Object.fromEntries(endTokens.map((token) => [String(token), -100]))
let nextPrompt = 0

function prompt(length: number): number[] {
  const start = ++nextPrompt
  return Array.from({ length }, (_, index) => 300 + ((start * 7919 + index * 104_729) % 150_000))
}

export async function benchEngines(
  drivers: readonly EngineDriver[],
  options: { threads: number | null; rounds: number },
): Promise<EngineFigures[]> {
  const folder = mkdtempSync(join(tmpdir(), 'holon-bench-'))
  const modelPath = join(folder, 'half-billion.gguf')
  writeTinyGguf(modelPath, { ...halfBillion, type: 'Q4_0' })
  const runners: Runner[] = []
  try {
    for (const driver of drivers) {
      const started = performance.now()
      const spec = {
        ...launchDefaults,
        modelId: 'bench',
        modelPath,
        contextTokens: 1024,
        threads: options.threads,
      }
      const process = await driver.launch(spec)
      const launchS = (performance.now() - started) / 1000
      runners.push({
        name: driver.id,
        process,
        launchS,
        samples: { decode: [], seen: [], prefill: [], four: [] },
      })
    }
    for (let round = -1; round < options.rounds; round++) {
      for (const runner of runners) await measure(runner, round >= 0)
    }
    return runners.map(figures)
  } finally {
    await Promise.all(runners.map((runner) => runner.process.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One round; the first warms up and is not kept. */
async function measure(runner: Runner, keep: boolean): Promise<void> {
  const { ask } = clientOf(runner.process)
  const complete = (tokens: number[], max_tokens: number): Promise<ChatAnswer> =>
    ask('/v1/completions', {
      model: 'bench',
      prompt: tokens,
      max_tokens,
      temperature: 0,
      logit_bias: neverEnd,
    })
  const timed = async (
    work: () => Promise<ChatAnswer[]>,
  ): Promise<{ answers: ChatAnswer[]; tokS: number }> => {
    const start = performance.now()
    const answers = await work()
    const tokens = answers.reduce((sum, answer) => sum + answer.usage.completion_tokens, 0)
    return { answers, tokS: (tokens / (performance.now() - start)) * 1000 }
  }
  const single = await timed(async () => [await complete(prompt(8), decodeTokens)])
  const prefill = await complete(prompt(promptTokens), 1)
  const four = await timed(() => Promise.all([1, 2, 3, 4].map(() => complete(prompt(8), decodeTokens))))
  if (!keep) return
  const perSecond = (prefill.timings as unknown as { prompt_per_second: number }).prompt_per_second
  runner.samples.decode.push(single.answers[0]!.timings.predicted_per_second)
  runner.samples.seen.push(single.tokS)
  runner.samples.prefill.push(perSecond)
  runner.samples.four.push(four.tokS)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function figures(runner: Runner): EngineFigures {
  const { samples } = runner
  return {
    engine: runner.name,
    threads: runner.process.threads,
    decodeTokS: median(samples.decode),
    decodeSeenTokS: median(samples.seen),
    prefillTokS: median(samples.prefill),
    fourStreamsTokS: median(samples.four),
    launchS: runner.launchS,
  }
}
