/** A part that the agent answers for: counted in its memory, told in its state, and ended exactly once. */
import type { LoadProgress, RunningModel } from '../../protocol/model.ts'
import type { OpenPart, PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import { promisedBytes } from './promised-bytes.ts'

export interface HeldPartEffects {
  changed(): void
  gone(): void
  now(): number
}

export class HeldPart implements OpenPart {
  readonly spec: PartSpec
  readonly died: Promise<string>
  listening: OpenPart['listening'] = null
  private readonly opening: Promise<OpenPart>
  private readonly effects: HeldPartEffects
  private readonly openedAt: number
  private progress: LoadProgress | null = null
  private running: RunningPart | null = null
  private readyAt: number | null = null
  private active = 0
  private usedAt: number
  private stopping: Promise<void> | null = null
  private tellDied: (sentence: string) => void = () => undefined

  constructor(spec: PartSpec, opening: Promise<OpenPart>, effects: HeldPartEffects) {
    this.spec = spec
    this.opening = opening
    this.effects = effects
    this.openedAt = effects.now()
    this.usedAt = this.openedAt
    this.died = new Promise((resolve) => {
      this.tellDied = resolve
    })
  }

  /** @throws what the engine's `open` throws; the part is gone then */
  async opened(): Promise<void> {
    try {
      const part = await this.opening
      this.listening = part.listening
      void part.died.then((sentence) => {
        this.tellDied(sentence)
        void this.stop()
      })
    } catch (thrown) {
      this.effects.gone()
      throw thrown
    }
  }

  async start(
    peers: readonly PeerAddress[],
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<RunningPart> {
    try {
      const part = await this.opening
      const running = await part.start(peers, {
        signal,
        onProgress: (progress) => {
          this.progress = progress
          this.effects.changed()
          onProgress?.(progress)
        },
      })
      this.running = running
      this.readyAt = this.effects.now()
      this.effects.changed()
      const { lease } = running
      return {
        get memoryBytes() {
          return running.memoryBytes
        },
        lease: lease && (() => this.counted(lease())),
      }
    } catch (thrown) {
      await this.stop()
      throw thrown
    }
  }

  stop(): Promise<void> {
    this.stopping ??= this.opening
      .then((part) => part.stop())
      .catch(() => undefined)
      .then(() => this.effects.gone())
    return this.stopping
  }

  /** What it holds, and at least what the plan lets it take. */
  get heldBytes(): number {
    return Math.max(promisedBytes(this.spec), this.running?.memoryBytes ?? 0)
  }

  describe(): RunningModel {
    const { pool, rank, size, engine } = this.spec
    return {
      id: `${pool}, part ${rank + 1} of ${size}`,
      engine,
      pid: null,
      state: this.running ? 'ready' : 'loading',
      progress: this.running ? null : this.progress,
      contextTokens: null,
      parallel: null,
      threads: null,
      memoryBytes: this.running?.memoryBytes ?? null,
      active: this.active,
      decodeTokS: null,
      prefillTokS: null,
      loadedAt: this.readyAt,
      idleS: this.active > 0 ? 0 : Math.max(0, (this.effects.now() - this.usedAt) / 1000),
    }
  }

  private counted(lease: ReturnType<NonNullable<RunningPart['lease']>>): typeof lease {
    this.active += 1
    let released = false
    return {
      ...lease,
      release: (stats) => {
        lease.release(stats)
        if (released) return
        released = true
        this.active -= 1
        this.usedAt = this.effects.now()
      },
    }
  }
}
