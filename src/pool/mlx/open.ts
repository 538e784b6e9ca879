/**
 * One rank of an MLX group on this machine. It opens its end of the wire, starts when it hears where the next rank is,
 * and counts as started when the group has loaded the model, or, for rank 0, when a token has come out. Whatever ends
 * first, the process, the wire, its own word or its progress, ends the part; the hub then ends the others.
 */
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { Spawned } from '../../engines/shared/spawn.ts'
import { spawnGuarded } from '../../engines/shared/spawn-guarded.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { OpenPart, PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { deferred } from '../shared/deferred.ts'
import {
  complaintOf,
  healthLook,
  mergedEnv,
  shorten,
  untilHealthy,
  withComplaint,
} from '../shared/engine-child.ts'
import { MeasuredMemory } from '../shared/measured-memory.ts'
import { keepTelling, PartLife, within } from '../shared/part-life.ts'
import { serveHead } from '../shared/serve-head.ts'
import { untilListening } from '../shared/until-listening.ts'
import { demandWholeShards, findModelFolder } from '../weights/model-folder.ts'
import { shardsOfRank } from '../weights/shards-of-rank.ts'
import { freePort } from '../wire/listen.ts'
import { openWire, type Wire } from '../wire/wire.ts'
import { findMlx, mlxPlaces } from './find-mlx.ts'
import { type MlxSettings, mlxSettings } from './layout.ts'
import { rankCommand } from './rank-command.ts'
import { type GroupPlace, joinGroup } from './ring-wire.ts'
import { itsOwnModel, pooledMlx } from './serve.ts'

/** The ring gives up after five tries, half a minute; a cold Python on a slow disk takes part of that. */
const joinWithinMs = 90_000
const loadWithinMs = 30 * 60_000
const lookEveryMs = 1_000
/** JACCL ignores SIGTERM once a peer is gone; SIGKILL comes after this, for the whole process group. */
const graceMs = 2_000
/** `--max-tokens` of mlx_lm.server. */
const usualMaxTokens = 512

/** @throws HolonError model_file_missing, model_file_invalid, engine_unavailable, pool_wire_failed */
export async function openMlx(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart> {
  const settings = mlxSettings.parse(spec.settings)
  const mlx = await findMlx(mlxPlaces(host.home))
  if (mlx === null) throw new HolonError('engine_unavailable', 'mlx-lm is not installed on this machine.')
  const folder = await findModelFolder(spec.model, host)
  if (folder === null) {
    const why = `${spec.model} is not on this machine as a folder that MLX can read.`
    throw new HolonError('model_file_missing', why)
  }
  const { rank, size } = spec
  await demandWholeShards(
    folder.path,
    settings.strategy === 'pipeline' ? await shardsOfRank(folder.path, { rank, size }) : null,
  )
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
  private readonly life: PartLife
  private readonly joined = deferred<void>()
  private readonly loaded = deferred<void>()
  private child: Spawned | null = null
  private memory: MeasuredMemory | null = null

  constructor(options: PartOptions) {
    const { spec, host, wire } = options
    this.options = options
    this.listening = wire.listening
    this.life = new PartLife(spec, host.log)
    this.died = this.life.died
    void this.life.closes(() => wire.close(this.life.cause))
    void wire.lost.then((why) => this.life.die(withComplaint(why, this.child)))
  }

  start(
    peers: readonly PeerAddress[],
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<RunningPart> {
    const tell = (phase: string): void => onProgress?.({ phase, percent: null, etaS: null })
    return this.life.starting(signal, async (either) => {
      tell('joining the other members')
      const url = await this.launch(peers, either)
      const lost = 'MLX did not start: its members did not find each other.'
      await within(this.joined.promise, { ms: joinWithinMs, signal: either, late: lost })
      const loading = keepTelling('reading weights', onProgress)
      const slow = `MLX did not have the model in memory after ${loadWithinMs / 60_000} minutes.`
      await within(this.loaded.promise, { ms: loadWithinMs, signal: either, late: slow }).finally(loading)
      // What was measured at its birth is not what it holds with the model.
      await this.memory?.look()
      if (this.options.spec.rank !== 0) return this.running(null)
      tell('asking for one token')
      return this.running(await this.serve(url, either))
    })
  }

  stop(): Promise<void> {
    return this.life.stop()
  }

  private running(lease: RunningPart['lease']): RunningPart {
    const { memory } = this
    return {
      get memoryBytes() {
        return memory?.bytes ?? null
      },
      lease,
    }
  }

  /** Starts the process; the address of its HTTP server, which rank 0 alone opens. */
  private async launch(peers: readonly PeerAddress[], signal: AbortSignal): Promise<string> {
    const { spec, host, settings, python, modelPath, wire } = this.options
    const { rank } = spec
    await mkdir(host.home.run, { recursive: true, mode: 0o700 })
    const place = await joinGroup({ spec, settings, wire, peers, folder: host.home.run }, signal)
    await this.life.closes(() => rm(dirname(place.groupFile), { recursive: true, force: true }))
    const httpPort = await freePort('127.0.0.1')
    const { command, args, env } = rankCommand({ ...place, python, modelPath, settings, rank, httpPort })
    signal.throwIfAborted()
    const onLine = (line: string): void => this.hear(line, place)
    const child = await spawnGuarded({ command, args, env: mergedEnv(env), onLine })
    this.child = child
    void child.exited.then(({ reason }) =>
      this.life.die(`Rank ${rank} of MLX ended. ${complaintOf(child) ?? reason}`),
    )
    // First of all: a part that has ended meanwhile closes what it knows of, and goes no further.
    await this.life.closes(() => child.stop(graceMs))
    const memory = new MeasuredMemory(child.enginePid)
    this.memory = memory
    await this.life.closes(async () => memory.stop())
    return `http://127.0.0.1:${httpPort}`
  }

  /** The few lines that say how far it is. */
  private hear(line: string, { port, offerWhenListening }: GroupPlace): void {
    const { spec, host, wire } = this.options
    if (/^\[ring\] Rank \d+ accepting/.test(line) && port !== null && offerWhenListening !== null) {
      untilListening(port, this.life.over).then(
        () => wire.offer(offerWhenListening, port),
        () => undefined,
      )
    }
    const [, rank, size] = /^holon: joined (\d+) (\d+)$/.exec(line) ?? []
    if (rank !== undefined) {
      if (Number(rank) === spec.rank && Number(size) === spec.size) this.joined.resolve()
      else this.life.die(`MLX made a group of ${size} where ${spec.size} were asked for.`)
    }
    if (line === 'holon: loaded') this.loaded.resolve()
    if (/generation thread died/.test(line))
      this.life.die(`Rank ${spec.rank} of MLX gave up: ${shorten(line)}`)
    else host.log.debug({ pool: spec.pool, rank: spec.rank }, line)
  }

  private async serve(url: string, signal: AbortSignal): Promise<RunningPart['lease']> {
    await untilHealthy(url, signal)
    return serveHead({
      life: this.life,
      id: 'mlx',
      engine: pooledMlx(url),
      engineModel: itsOwnModel,
      model: this.options.spec.model,
      parallel: 1,
      // Two at once brought both ranks down (mlx-lm #1737).
      oneAtATime: true,
      usualMaxTokens,
      look: healthLook(
        url,
        this.life.over,
        () => complaintOf(this.child) ?? 'Rank 0 of MLX says that it cannot answer any more.',
      ),
      lookEveryMs,
      signal,
    })
  }
}
