/**
 * One member of vLLM over several machines. Its processes talk by NCCL and gloo, which open ports of their own choosing
 * between all members: nothing can carry them inside the encrypted wire, so they run on an isolated link or not at all.
 */
import { randomBytes } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { HolonError } from '../../core/errors.ts'
import type { Spawned } from '../../engines/shared/spawn.ts'
import { spawnGuarded } from '../../engines/shared/spawn-guarded.ts'
import { attachVllm } from '../../engines/vllm/index.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { OpenPart, PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { complaintOf, healthLook, mergedEnv, untilHealthy, withComplaint } from '../shared/engine-child.ts'
import { keepTelling, PartLife, within } from '../shared/part-life.ts'
import { serveHead } from '../shared/serve-head.ts'
import { untilListening } from '../shared/until-listening.ts'
import { demandWholeShards, findModelFolder } from '../weights/model-folder.ts'
import { freePort } from '../wire/listen.ts'
import { openWire, type Wire } from '../wire/wire.ts'
import { findVllm, type VllmFound, vllmPlaces } from './find-vllm.ts'
import { type VllmSettings, vllmSettings } from './layout.ts'
import { nodeCommands } from './node-command.ts'

/** Weights, compilation and CUDA graphs take minutes; its port is closed all the while. */
const loadWithinMs = 45 * 60_000
const lookEveryMs = 1_000
const rayWithinMs = 25_000
const graceMs = 5_000
const usualMaxTokens = 4_096
const channel = 'vllm'

/** @throws HolonError pool_impossible, engine_unavailable, model_file_missing, model_file_invalid, pool_wire_failed */
export async function openVllm(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart> {
  const settings = vllmSettings.parse(spec.settings)
  const link = linkOf(spec)
  const vllm = await findVllm(vllmPlaces(host.home))
  if (vllm === null) throw new HolonError('engine_unavailable', 'vLLM is not installed on this machine.')
  const folder = await findModelFolder(spec.model, host)
  if (folder === null)
    throw new HolonError('model_file_missing', `${spec.model} is not on this machine as a folder.`)
  await demandWholeShards(folder.path, null)
  signal.throwIfAborted()
  const wire = await openWire({ spec, log: host.log })
  return new VllmPart({ spec, host, settings, vllm, modelPath: folder.path, link, wire })
}

interface Link {
  host: string
  name: string
}

/** This member's end of the isolated link. */
function linkOf({ wire }: PartSpec): Link {
  if (wire.mode !== 'isolated' || wire.host === null) {
    throw new HolonError(
      'pool_impossible',
      'vLLM’s members talk by NCCL and gloo, on ports of their own choosing, which cannot travel inside the encrypted wire.',
      {
        hint: 'Vouch for a cable that leads to no one else with --accept-isolated-link NODE:INTERFACE for each member, or use --engine llama-rpc.',
      },
    )
  }
  const { host } = wire
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some(({ address }) => address === host)) return { host, name }
  }
  throw new HolonError('pool_wire_failed', `${host} is not an address of this machine.`)
}

interface PartOptions {
  spec: PartSpec
  host: MemberHost
  settings: VllmSettings
  vllm: VllmFound
  modelPath: string
  link: Link
  wire: Wire
}

class VllmPart implements OpenPart {
  readonly listening: OpenPart['listening']
  readonly died: Promise<string>
  private readonly options: PartOptions
  private readonly life: PartLife
  private last: Spawned | null = null

  constructor(options: PartOptions) {
    const { spec, host, wire } = options
    this.options = options
    this.listening = wire.listening
    this.life = new PartLife(spec, host.log)
    this.died = this.life.died
    void this.life.closes(() => wire.close(this.life.cause))
    void wire.lost.then((why) => this.life.die(withComplaint(why, this.last)))
  }

  start(
    peers: readonly PeerAddress[],
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<RunningPart> {
    const tell = (phase: string): void => onProgress?.({ phase, percent: null, etaS: null })
    return this.life.starting(signal, async (either) => {
      tell('joining the other members')
      const head = await this.meet(peers, either)
      const front = await this.launch(head, either)
      // A follower says nothing when it is ready: the head's first token speaks for it.
      if (this.options.spec.rank !== 0) return { memoryBytes: null, lease: null }
      const loading = keepTelling('reading weights', onProgress)
      const late = `vLLM was not ready after ${loadWithinMs / 60_000} minutes.`
      await within(untilHealthy(front.url, either), { ms: loadWithinMs, signal: either, late }).finally(
        loading,
      )
      tell('asking for one token')
      return { memoryBytes: null, lease: await this.serve(front, either) }
    })
  }

  stop(): Promise<void> {
    return this.life.stop()
  }

  /** Where the members meet: the head chooses a port and tells it over the wire. */
  private async meet(
    peers: readonly PeerAddress[],
    signal: AbortSignal,
  ): Promise<{ host: string; port: number }> {
    const { spec, wire, link } = this.options
    if (spec.rank === 0) {
      const port = await freePort(link.host)
      // Ray's nodes give up on a head that is not there yet; followers of vLLM's own launcher wait for theirs.
      if (!this.byRay) wire.offer(channel, port)
      return { host: link.host, port }
    }
    const head = peers.find(({ rank }) => rank === 0)
    if (!head) throw new HolonError('pool_wire_failed', `Rank ${spec.rank} was not told where the head is.`)
    await wire.connect([head], signal)
    return wire.wayTo(0, channel)
  }

  private async launch(
    head: { host: string; port: number },
    signal: AbortSignal,
  ): Promise<{ url: string; secret: string }> {
    const { spec, host, settings, vllm, modelPath, link } = this.options
    const { rank, size, model } = spec
    const secret = randomBytes(32).toString('base64url')
    const httpPort = await freePort('127.0.0.1')
    const commands = nodeCommands({
      vllm: vllm.path,
      ray: vllm.ray?.path ?? null,
      modelPath,
      model,
      settings,
      rank,
      size,
      head,
      host: link.host,
      networkInterface: link.name,
      httpPort,
      secret,
    })
    for (const { command, args, env } of commands) {
      signal.throwIfAborted()
      const onLine = (line: string): void => host.log.debug({ pool: spec.pool, rank }, line)
      const child = await spawnGuarded({ command, args, env: mergedEnv(env), onLine })
      this.last = child
      void child.exited.then(({ reason }) =>
        this.life.die(`vLLM on member ${rank} ended. ${complaintOf(child) ?? reason}`),
      )
      await this.life.closes(() => child.stop(graceMs))
      if (this.byRay && rank === 0 && command !== vllm.path) await this.openRay(head, signal)
    }
    return { url: `http://127.0.0.1:${httpPort}`, secret }
  }

  private get byRay(): boolean {
    return this.options.settings.launcher === 'ray'
  }

  /** Neither the nodes nor vLLM itself wait for Ray's head. */
  private async openRay({ port }: { port: number }, signal: AbortSignal): Promise<void> {
    const late = `Ray did not listen within ${rayWithinMs / 1000} s.`
    await within(untilListening(port, signal), { ms: rayWithinMs, signal, late })
    this.options.wire.offer(channel, port)
  }

  private serve(
    { url, secret }: { url: string; secret: string },
    signal: AbortSignal,
  ): Promise<RunningPart['lease']> {
    const { spec, settings } = this.options
    const headers = { authorization: `Bearer ${secret}` }
    return serveHead({
      life: this.life,
      id: 'vllm',
      engine: attachVllm({ url, headers, models: [spec.model], parallel: settings.parallel }),
      engineModel: spec.model,
      model: spec.model,
      parallel: settings.parallel,
      oneAtATime: false,
      usualMaxTokens,
      look: healthLook(
        url,
        this.life.over,
        () => complaintOf(this.last) ?? 'vLLM says that its engine is dead.',
      ),
      lookEveryMs,
      signal,
    })
  }
}
