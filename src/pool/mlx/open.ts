/**
 * One rank of an MLX group on this machine. It opens its end of the wire, starts when it hears where the next rank is,
 * and counts as started when the group has loaded the model, or, for rank 0, when a token has come out. Whatever ends
 * first, the process, the wire, its own word or its progress, ends the part; the hub then ends the others.
 */
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { proveModel } from '../../engines/attached/canary.ts'
import { type Door, openDoor } from '../../engines/attached/door.ts'
import { unknownModel } from '../../engines/attached-engine.ts'
import { answersHealth } from '../../engines/shared/engine-process.ts'
import type { Spawned } from '../../engines/shared/spawn.ts'
import { spawnGuarded } from '../../engines/shared/spawn-guarded.ts'
import type { EngineLease } from '../../protocol/lease.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { OpenPart, PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { AnswerWatch } from '../shared/answer-watch.ts'
import { type Deferred, deferred } from '../shared/deferred.ts'
import { freePort } from '../shared/free-port.ts'
import { untilListening } from '../shared/until-listening.ts'
import { demandWholeShards, findModelFolder } from '../weights/model-folder.ts'
import { shardsOfRank } from '../weights/shards-of-rank.ts'
import { openWire, type Wire } from '../wire/wire.ts'
import { findMlx, mlxPlaces } from './find-mlx.ts'
import { type MlxSettings, mlxSettings } from './layout.ts'
import { rankCommand } from './rank-command.ts'
import { type GroupPlace, joinGroup } from './ring-wire.ts'
import { itsOwnModel, pooledMlx, pooledMlxParameters } from './serve.ts'

/** The ring gives up after five tries, half a minute; a cold Python on a slow disk takes part of that. */
const joinWithinMs = 90_000
const loadWithinMs = 30 * 60_000
const firstTokenWithinMs = 120_000
const lookEveryMs = 1_000
const proveEveryMs = 15_000
const graceMs = 2_000

/** @throws HolonError model_file_missing, model_file_invalid, engine_unavailable, pool_wire_failed */
export async function openMlx(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart> {
  const settings = mlxSettings.parse(spec.settings)
  const mlx = await findMlx(mlxPlaces(host.home))
  if (mlx === null) throw new HolonError('engine_unavailable', 'mlx-lm is not installed on this machine.')
  const folder = await findModelFolder(spec.model, host)
  if (folder === null) {
    throw new HolonError(
      'model_file_missing',
      `${spec.model} is not on this machine as a folder that MLX can read.`,
    )
  }
  const shards =
    settings.strategy === 'pipeline'
      ? await shardsOfRank(folder.path, { rank: spec.rank, size: spec.size })
      : null
  await demandWholeShards(folder.path, shards)
  signal.throwIfAborted()
  const wire = await openWire({ spec, log: host.log })
  return new MlxPart({ spec, host, settings, python: mlx.python, modelPath: folder.path, wire })
}

interface PartOptions {
  spec: PartSpec
  host: MemberHost
  settings: MlxSettings
  python: string
  modelPath: string
  wire: Wire
}

class MlxPart implements OpenPart {
  readonly listening: OpenPart['listening']
  readonly died: Promise<string>
  private readonly options: PartOptions
  private readonly death = deferred<string>()
  private readonly ended = new AbortController()
  private readonly joined = deferred<void>()
  private readonly loaded = deferred<void>()
  private place: GroupPlace | null = null
  private child: Spawned | null = null
  private door: Door | null = null
  private watch: AnswerWatch | null = null
  private ending: Promise<void> | null = null

  constructor(options: PartOptions) {
    this.options = options
    this.listening = options.wire.listening
    this.died = this.death.promise
    void options.wire.lost.then((why) => this.die(why))
  }

  async start(
    peers: readonly PeerAddress[],
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<RunningPart> {
    const either = AbortSignal.any([signal, this.ended.signal])
    const tell = (phase: string): void => onProgress?.({ phase, percent: null, etaS: null })
    try {
      tell('joining the other members')
      const httpPort = await this.launch(peers, either)
      await within(this.joined, joinWithinMs, either, 'the members did not find each other')
      tell('reading weights')
      await within(this.loaded, loadWithinMs, either, 'the model was not in memory')
      if (this.options.spec.rank !== 0) return { memoryBytes: null, lease: null }
      tell('asking for one token')
      const lease = await this.serve(`http://127.0.0.1:${httpPort}`, either)
      return { memoryBytes: null, lease }
    } catch (thrown) {
      const reason = this.ended.signal.aborted ? this.ended.signal.reason : thrown
      await this.stop()
      signal.throwIfAborted()
      throw asHolonError(reason)
    }
  }

  stop(): Promise<void> {
    this.ending ??= this.end()
    return this.ending
  }

  private async launch(peers: readonly PeerAddress[], signal: AbortSignal): Promise<number> {
    const { spec, host, settings, python, modelPath, wire } = this.options
    await mkdir(host.home.run, { recursive: true, mode: 0o700 })
    const place = await joinGroup({ spec, settings, wire, peers, folder: host.home.run }, signal)
    this.place = place
    const httpPort = await freePort('127.0.0.1')
    const { rank } = spec
    const { command, args, env } = rankCommand({ ...place, python, modelPath, settings, rank, httpPort })
    signal.throwIfAborted()
    const child = await spawnGuarded({
      command,
      args,
      env: mergedEnv(env),
      onLine: (line) => this.hear(line),
    })
    this.child = child
    void child.exited.then(({ reason }) =>
      this.die(`Rank ${rank} of MLX ended. ${complaintOf(child) ?? reason}`),
    )
    // Ended while it was being started: nobody else would end it.
    if (this.ended.signal.aborted) await child.stop(0)
    signal.throwIfAborted()
    return httpPort
  }

  /** The few lines that say how far it is. */
  private hear(line: string): void {
    const { spec, host, wire } = this.options
    if (/^\[ring\] Rank \d+ accepting/.test(line)) {
      const { port, offerWhenListening } = this.place ?? {}
      if (port == null || offerWhenListening == null) return
      untilListening(port, this.ended.signal).then(
        () => wire.offer(offerWhenListening, port),
        () => undefined,
      )
    }
    const [, rank, size] = /^holon: joined (\d+) (\d+)$/.exec(line) ?? []
    if (rank !== undefined) {
      if (Number(rank) === spec.rank && Number(size) === spec.size) this.joined.resolve()
      else this.die(`MLX made a group of ${size} where ${spec.size} were asked for.`)
    }
    if (line === 'holon: loaded') this.loaded.resolve()
    if (/generation thread died/.test(line)) this.die(`Rank ${spec.rank} of MLX gave up: ${shorten(line)}`)
    else host.log.debug({ pool: spec.pool, rank: spec.rank }, line)
  }

  private async serve(url: string, signal: AbortSignal): Promise<() => EngineLease> {
    const { spec } = this.options
    const { watch } = this
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(firstTokenWithinMs)])
    while (!(await answersHealth(url, deadline))) {
      deadline.throwIfAborted()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const engine = pooledMlx(url, () => this.watch as AnswerWatch)
    this.door = await openDoor(engine, { answered: () => undefined, failed: () => undefined })
    const { door } = this
    const model = { ...unknownModel(itsOwnModel), embedding: false }
    this.watch = watch ?? this.watchOver(url, () => proveModel(door, model, this.ended.signal))
    await proveModel(door, model, deadline)
    return () => ({
      model: spec.model,
      engine: 'mlx',
      origin: door.origin,
      headers: door.headersFor(itsOwnModel, spec.model),
      parameters: pooledMlxParameters,
      parallel: 1,
      died: this.died,
      release: () => undefined,
    })
  }

  private watchOver(url: string, prove: () => Promise<void>): AnswerWatch {
    let silent = 0
    return new AnswerWatch({
      clock: systemClock,
      lookEveryMs,
      look: async () => {
        const well = await answersHealth(url, this.ended.signal)
        silent = well ? 0 : silent + 1
        if (silent < 2) return null
        return complaintOf(this.child) ?? 'Rank 0 of MLX says that it cannot answer any more.'
      },
      proveEveryMs,
      prove,
      dead: (reason) => this.die(reason),
    })
  }

  /** Resolves `died` and ends what is left of the part. */
  private die(reason: string): void {
    if (this.ended.signal.aborted) return
    const { spec } = this.options
    const failure = new HolonError('model_load_failed', reason, { source: 'engine' })
    this.options.host.log.warn({ pool: spec.pool, launch: spec.launch, rank: spec.rank }, reason)
    this.ended.abort(failure)
    this.death.resolve(reason)
    void this.stop()
  }

  private async end(): Promise<void> {
    if (!this.ended.signal.aborted) {
      this.ended.abort(new HolonError('model_load_failed', 'The part was stopped while it was starting.'))
    }
    this.watch?.stop()
    // JACCL ignores SIGTERM once a peer is gone; SIGKILL comes after the grace, for the whole process group.
    await this.child?.stop(graceMs).catch(() => undefined)
    await this.door?.close().catch(() => undefined)
    await this.options.wire.close()
    const file = this.place?.groupFile
    if (file !== undefined) await rm(dirname(file), { recursive: true, force: true }).catch(() => undefined)
  }
}

function mergedEnv(changes: Record<string, string | null>): NodeJS.ProcessEnv {
  const env = { ...process.env }
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete env[name]
    else env[name] = value
  }
  return env
}

/** Python's last word. */
function complaintOf(child: Spawned | null): string | null {
  const line = child
    ?.lastLines()
    .findLast((each) => /(Error|Exception|died): |^\[ring\].*(lost|fail)/i.test(each))
  return line === undefined ? null : shorten(line)
}

function shorten(line: string): string {
  return line
    .replace(/^.*ERROR - /, '')
    .trim()
    .slice(0, 300)
}

async function within(event: Deferred<void>, ms: number, signal: AbortSignal, what: string): Promise<void> {
  const late = AbortSignal.timeout(ms)
  const either = AbortSignal.any([signal, late])
  either.throwIfAborted()
  const aborted = new Promise<never>((_, reject) => {
    either.addEventListener('abort', () => reject(either.reason), { once: true })
  })
  try {
    await Promise.race([event.promise, aborted])
  } catch (thrown) {
    if (signal.aborted || !late.aborted) throw thrown
    throw new HolonError('model_load_failed', `MLX did not start: ${what} after ${ms / 1000} s.`, {
      source: 'engine',
    })
  }
}
