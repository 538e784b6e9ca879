/** What both kinds of parts have: one end, told once, and everything of theirs gone after it. */
import { systemClock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { Guard, type Guarded } from '../../engines/shared/spawn-guarded.ts'
import { residentMemory } from '../../profile/process-memory.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { OpenPart, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import { isStopped } from '../shared/stopped-process.ts'
import type { Wire } from '../wire/wire.ts'

export interface StartOptions {
  signal: AbortSignal
  onProgress?: (progress: LoadProgress) => void
}

const lookMs = 1_000
const graceMs = 2_000
/** The wire knows why; the engine only dies of it, and may be the first to be heard. */
const betterReasonMs = 300

export abstract class LlamaPart implements OpenPart {
  readonly died: Promise<string>
  readonly listening: OpenPart['listening']
  protected readonly wire: Wire
  /** Up from the opening on, so that the start does not wait for it. */
  protected readonly guard = new Guard()
  /** Aborted when the part ends, with the reason. */
  protected readonly ended = new AbortController()
  private tellDied: (sentence: string) => void = () => undefined
  private child: Guarded | null = null
  private cancelLook: () => void = () => undefined
  private stopping: Promise<void> | null = null
  private lostWire: string | null = null
  private measured: number | null = null

  constructor(wire: Wire) {
    this.wire = wire
    this.listening = wire.listening
    this.died = new Promise((resolve) => {
      this.tellDied = resolve
    })
    void wire.lost.then((why) => {
      this.lostWire = why
      this.die(why)
    })
  }

  async start(peers: readonly PeerAddress[], options: StartOptions): Promise<RunningPart> {
    const signal = AbortSignal.any([options.signal, this.ended.signal])
    try {
      return await this.run(peers, { ...options, signal })
    } catch (thrown) {
      const lost = await this.betterReason()
      // Without the cause its peers would blame this member for what another did: a route that leads one way, once.
      await this.finish(options.signal.aborted ? undefined : (lost ?? asHolonError(thrown).message))
      options.signal.throwIfAborted()
      if (lost !== null) throw new HolonError('pool_wire_failed', lost)
      throw asHolonError(thrown)
    }
  }

  stop(): Promise<void> {
    return this.finish()
  }

  /** @param cause what the peers are told; none when it was told to end */
  private finish(cause?: string): Promise<void> {
    // The engine first: a head that still has its workers ends in peace, and they free its memory.
    this.stopping ??= this.end(async () => {
      await this.child?.stop(graceMs)
      await this.wire.close(cause)
    })
    return this.stopping
  }

  protected abstract run(peers: readonly PeerAddress[], options: StartOptions): Promise<RunningPart>
  /** Why the engine can do no more, though its process lives; null when it can. */
  protected abstract look(): Promise<string | null>
  protected async afterEnd(): Promise<void> {}

  /** What `start` resolves with; its memory is the latest figure whenever it is read. */
  protected runningPart(lease: RunningPart['lease']): RunningPart {
    const memory = (): number | null => this.measured
    return {
      lease,
      get memoryBytes() {
        return memory()
      },
    }
  }

  /** From now on the end of the process is the end of the part. */
  protected watch(child: Guarded): void {
    this.child = child
    // It came up while the part was being ended, which did not know of it.
    if (this.stopping) {
      this.stopping = this.stopping.then(() => child.stop(0))
      return
    }
    void child.exited.then(async ({ reason }) => this.die((await this.betterReason()) ?? reason))
    this.lookAgain()
    void this.measure()
  }

  protected die(sentence: string): void {
    if (this.stopping) return
    this.ended.abort(new HolonError('engine_crashed', sentence, { source: 'engine' }))
    this.tellDied(sentence)
    // Peers hear of it at once; an engine that is broken or stopped would use none of its grace.
    this.stopping = this.end(async () => {
      await Promise.all([this.wire.close(sentence), this.child?.stop(0)])
    })
  }

  private async end(all: () => Promise<void>): Promise<void> {
    this.cancelLook()
    this.ended.abort(new HolonError('engine_unavailable', 'The part was stopped.'))
    await all().catch(() => undefined)
    await this.guard.drop()
    await this.afterEnd().catch(() => undefined)
  }

  private lookAgain(): void {
    this.cancelLook = systemClock.after(lookMs, () => {
      void this.lookOnce().then((why) => {
        if (why !== null) this.die(why)
        else if (!this.stopping) this.lookAgain()
      })
    })
  }

  private async lookOnce(): Promise<string | null> {
    const pid = this.child?.enginePid
    if (pid === undefined) return null
    await this.measure()
    if (await isStopped(pid)) return 'The engine was stopped (SIGSTOP, or a debugger) and answers nobody.'
    return this.look()
  }

  private async measure(): Promise<void> {
    const pid = this.child?.enginePid
    if (pid !== undefined) this.measured = (await residentMemory([pid])).get(pid) ?? this.measured
  }

  private async betterReason(): Promise<string | null> {
    if (this.lostWire !== null) return this.lostWire
    return Promise.race([
      this.wire.lost,
      new Promise<null>((resolve) => void systemClock.after(betterReasonMs, () => resolve(null))),
    ])
  }
}
