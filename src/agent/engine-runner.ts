/**
 * Carries out what the supervisor decides: finds an engine that is here, fetches one if need be, launches it, watches
 * it, ends it. Holds the processes and decides nothing about memory or callers. Every start is answered once, and
 * nothing it started outlives `close`.
 */
import type { Clock } from '../core/clock.ts'
import { asHolonError, HolonError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { EngineDriver, EngineProcess } from '../engines/engine.ts'
import type { EngineFound } from '../protocol/machine.ts'
import type { LoadProgress, ModelInfo } from '../protocol/model.ts'
import { chooseEngines, type EngineChoice } from './choose-engine.ts'
import { type EngineLog, engineLogPath, openEngineLog } from './engine-log.ts'
import type { Plan, Running } from './supervisor/effects.ts'

export interface RunnerEvents {
  progress(attempt: number, engine: string, progress: LoadProgress): void
  started(attempt: number, running: Running): void
  startFailed(attempt: number, error: HolonError): void
  exited(attempt: number, reason: string): void
  health(attempt: number, healthy: boolean): void
}

export interface RunnerOptions {
  drivers: readonly EngineDriver[]
  preferred: string | null
  /** Engines that may be fetched without asking. */
  fetchable: ReadonlySet<string>
  threads: number | null
  logsFolder: string
  clock: Clock
  log: Log
  /** A start that reports nothing for so long is given up. */
  stallMs: number
  /** From SIGTERM to SIGKILL. */
  graceMs: number
}

interface Started {
  driver: EngineDriver
  process: EngineProcess
}

/** Trying another engine cannot help against these. */
const final = new Set(['model_file_missing', 'model_too_big'])

export class EngineRunner {
  private readonly options: RunnerOptions
  private readonly events: RunnerEvents
  private readonly starting = new Map<number, AbortController>()
  private readonly running = new Map<number, Started>()
  /** Everything under way, so that `close` can wait for it. */
  private readonly pending = new Set<Promise<void>>()

  constructor(options: RunnerOptions, events: RunnerEvents) {
    this.options = options
    this.events = events
  }

  start(attempt: number, model: ModelInfo, plan: Plan): void {
    const controller = new AbortController()
    this.starting.set(attempt, controller)
    this.follow(
      this.tryEngines(attempt, model, plan, controller).then(
        (started) => this.up(attempt, started),
        (thrown) => {
          this.starting.delete(attempt)
          this.events.startFailed(attempt, asHolonError(thrown))
        },
      ),
    )
  }

  abandon(attempt: number): void {
    this.starting.get(attempt)?.abort(new HolonError('model_load_failed', 'The load was given up.'))
  }

  stop(attempt: number): void {
    const started = this.running.get(attempt)
    if (started) this.follow(this.end(started.process))
  }

  checkHealth(attempt: number): void {
    const started = this.running.get(attempt)
    if (!started) return
    const check = started.process.healthy(AbortSignal.timeout(10_000)).catch(() => false)
    void check.then((healthy) => this.events.health(attempt, healthy))
  }

  /**
   * Which engines would be tried, best first.
   * @throws HolonError engine_unavailable when none can be, or not the wished one
   */
  async candidates(wished: string | null): Promise<EngineChoice[]> {
    const { drivers, preferred, fetchable } = this.options
    const found = await Promise.all(drivers.map((driver) => detected(driver)))
    return chooseEngines(found, { wished, preferred, fetchable })
  }

  processOf(attempt: number): Started | undefined {
    return this.running.get(attempt)
  }

  pids(): Map<number, number> {
    return new Map([...this.running].map(([attempt, { process }]) => [attempt, process.pid]))
  }

  /** Resolves when every process is gone and every start has ended, or after `withinMs`; kills what is left then. */
  async close(withinMs: number): Promise<void> {
    for (const attempt of this.starting.keys()) this.abandon(attempt)
    let cancel = (): void => undefined
    const timeUp = new Promise<void>((resolve) => {
      cancel = this.options.clock.after(withinMs, resolve)
    })
    const allGone = (async () => {
      while (this.pending.size > 0) await Promise.all(this.pending)
    })()
    await Promise.race([allGone, timeUp])
    cancel()
    for (const { process: left } of this.running.values()) killNow(left.pid)
  }

  private async tryEngines(
    attempt: number,
    model: ModelInfo,
    plan: Plan,
    controller: AbortController,
  ): Promise<Started> {
    const { drivers, log } = this.options
    const choices = await this.candidates(plan.engine)
    const failures: { engine: string; error: HolonError }[] = []
    for (const choice of choices) {
      const driver = drivers.find((candidate) => candidate.id === choice.id)!
      try {
        return {
          driver,
          process: await this.launch(attempt, driver, choice.install, model, plan, controller),
        }
      } catch (thrown) {
        controller.signal.throwIfAborted()
        const error = asHolonError(thrown)
        failures.push({ engine: choice.id, error })
        log.warn(
          { model: model.id, engine: choice.id, code: error.code },
          `${choice.id} could not load it: ${error.message}`,
        )
        if (final.has(error.code)) break
      }
    }
    throw combined(failures)
  }

  private async launch(
    attempt: number,
    driver: EngineDriver,
    install: boolean,
    model: ModelInfo,
    plan: Plan,
    controller: AbortController,
  ): Promise<EngineProcess> {
    const { clock, logsFolder, stallMs, threads } = this.options
    const engineLog = openEngineLog(engineLogPath(logsFolder, driver.id, model.id), clock)
    const stall = new AbortController()
    const signal = AbortSignal.any([controller.signal, stall.signal])
    let cancelStall = (): void => undefined
    const watch = (): void => {
      cancelStall()
      cancelStall = clock.after(stallMs, () => stall.abort(stalled(driver, model, stallMs)))
    }
    const onProgress = (progress: LoadProgress): void => {
      watch()
      this.events.progress(attempt, driver.id, progress)
    }
    watch()
    try {
      engineLog.line(`--- ${driver.title}, ${model.path}, context ${plan.contextTokens} x ${plan.parallel}`)
      onProgress({
        phase: install ? 'fetching the engine' : 'starting the engine',
        percent: null,
        etaS: null,
      })
      if (install) await driver.install({ onProgress, signal })
      const process = await driver.launch({
        modelId: model.id,
        modelPath: model.path,
        contextTokens: plan.contextTokens,
        parallel: plan.parallel,
        threads,
        embedding: model.embedding,
        onProgress,
        onLog: (line) => engineLog.line(line),
        signal,
      })
      this.follow(closeAfter(process, engineLog))
      return process
    } catch (thrown) {
      await engineLog.close()
      throw thrown
    } finally {
      cancelStall()
    }
  }

  private up(attempt: number, started: Started): void {
    this.starting.delete(attempt)
    this.running.set(attempt, started)
    const { process, driver } = started
    this.follow(
      process.exited.then((exit) => {
        this.running.delete(attempt)
        this.events.exited(attempt, exit.reason)
      }),
    )
    const { pid, contextTokens, parallel, threads } = process
    this.events.started(attempt, { engine: driver.id, pid, contextTokens, parallel, threads })
  }

  /** A driver's `stop` is bounded by its contract; a broken one must not keep the process alive all the same. */
  private async end(process: EngineProcess): Promise<void> {
    const { clock, graceMs } = this.options
    const cancel = clock.after(graceMs + 5_000, () => killNow(process.pid))
    await process.stop(graceMs).catch(() => killNow(process.pid))
    cancel()
  }

  private follow(work: Promise<void>): void {
    const tracked = work.catch((thrown) => {
      this.options.log.error({}, `engine runner: ${asHolonError(thrown).message}`)
    })
    this.pending.add(tracked)
    void tracked.then(() => this.pending.delete(tracked))
  }
}

async function closeAfter(process: EngineProcess, engineLog: EngineLog): Promise<void> {
  const exit = await process.exited
  engineLog.line(`--- ${exit.reason}`)
  await engineLog.close()
}

/** `detect` never throws by contract; an engine that breaks it must not take the others down. */
async function detected(driver: EngineDriver): Promise<EngineFound> {
  const nothing = { available: false, version: null, path: null, url: null, models: [], hint: null }
  return driver
    .detect()
    .catch((thrown) => ({ ...nothing, id: driver.id, whyNot: asHolonError(thrown).message }))
}

/** The first failure is that of the best engine; the others are named behind it. */
function combined(failures: { engine: string; error: HolonError }[]): HolonError {
  const [first, ...others] = failures
  if (!first) return new HolonError('engine_unavailable', 'No engine can run here.')
  if (others.length === 0) return first.error
  const also = others.map(({ engine, error }) => `${engine}: ${error.message}`).join(' ')
  const { code, message, hint } = first.error
  return new HolonError(code, `${message} Also tried ${also}`, { hint, source: 'engine', cause: first.error })
}

function stalled(driver: EngineDriver, model: ModelInfo, stallMs: number): HolonError {
  const minutes = Math.round(stallMs / 60_000)
  return new HolonError(
    'model_load_failed',
    `${driver.title} made no progress with ${model.id} for ${minutes} minutes and was given up.`,
    { source: 'engine', hint: 'The engine log in HOLON_HOME/logs says more.' },
  )
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}
