/** A part of a pool on another machine: one stream of the tunnel, open for as long as the part is wanted. */
import type { PassThrough } from 'node:stream'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { jsonLine } from '../../core/lines.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { EngineLease } from '../../protocol/node.ts'
import { fromWireError, type HeldEngine } from '../../protocol/node-wire.ts'
import type { OpenPart, PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import { maxPoolLineBytes, type PartLine, partLine, poolPaths } from '../../protocol/pool-wire.ts'
import type { TunnelSession } from '../../tunnel/session.ts'
import { leaseOf, openLines } from './line-stream.ts'

/** SIGTERM, then SIGKILL, and the wire's goodbye; what takes longer is left to the node. */
const stopWithinMs = 15_000

/** @throws HolonError what the node says, tunnel_lost, tunnel_misbehaved; or the signal's reason */
export async function openRemotePart(
  session: TunnelSession,
  node: string,
  spec: PartSpec,
  signal: AbortSignal,
): Promise<OpenPart> {
  // The signal is that of the opening: a part that is open ends by its own `stop`, which waits until all of it is gone.
  const opening = new AbortController()
  const giveUp = (): void => opening.abort(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    return await open(session, node, spec, opening.signal)
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

async function open(
  session: TunnelSession,
  node: string,
  spec: PartSpec,
  signal: AbortSignal,
): Promise<OpenPart> {
  const opening = { path: poolPaths.part, first: { spec }, maxLineBytes: maxPoolLineBytes, signal }
  return openLines(session, opening, async ({ statusCode, upload, lines }) => {
    if (statusCode === 404) {
      throw new HolonError('pool_impossible', `Node ${node} cannot take part in pools.`, {
        hint: 'Bring Holon there to the same version as here.',
      })
    }
    if (statusCode !== 200) throw unexpected(node)
    const line = await nextLine(lines, node)
    if (line !== null && 'listening' in line)
      return new RemotePart(session, node, line.listening, upload, lines)
    if (line !== null && 'error' in line) throw fromWireError(line.error)
    throw line === null ? lostPart(node) : unexpected(node)
  })
}

class RemotePart implements OpenPart {
  readonly listening: OpenPart['listening']
  readonly died: Promise<string>
  private readonly session: TunnelSession
  private readonly node: string
  private readonly upload: PassThrough
  /** Resolves when the node has nothing more to say: all of the part is gone. */
  private readonly over: Promise<void>
  private hear: (line: PartLine | Error) => void = () => undefined
  private tellDied: (sentence: string) => void = () => undefined
  private end: string | null = null
  private stopped = false
  private memoryBytes: number | null = null

  constructor(
    session: TunnelSession,
    node: string,
    listening: OpenPart['listening'],
    upload: PassThrough,
    lines: AsyncGenerator<unknown>,
  ) {
    this.session = session
    this.node = node
    this.listening = listening
    this.upload = upload
    this.died = new Promise((resolve) => {
      this.tellDied = resolve
    })
    this.over = this.listen(lines)
  }

  start(
    peers: readonly PeerAddress[],
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<RunningPart> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal.removeEventListener('abort', giveUp)
        this.hear = () => undefined
      }
      const giveUp = (): void => {
        settle()
        // Rejected when it is gone: whoever starts the next group finds the machine free.
        void this.stop().then(() => reject(signal.reason))
      }
      if (this.end !== null)
        return void reject(new HolonError('engine_crashed', this.end, { source: 'engine' }))
      if (signal.aborted) return giveUp()
      signal.addEventListener('abort', giveUp, { once: true })
      this.hear = (line) => {
        if (line instanceof Error) {
          settle()
          reject(line)
        } else if ('progress' in line) onProgress?.(line.progress)
        else if ('ready' in line) {
          settle()
          resolve(this.running(line.ready))
        } else if ('error' in line) {
          settle()
          reject(fromWireError(line.error))
        }
      }
      this.upload.write(jsonLine({ peers }))
    })
  }

  async stop(): Promise<void> {
    this.stopped = true
    this.upload.end()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, stopWithinMs)
    })
    await Promise.race([this.over, late])
    clearTimeout(timer)
    this.upload.destroy()
  }

  private async listen(lines: AsyncGenerator<unknown>): Promise<void> {
    let reason: string | null = null
    try {
      for (;;) {
        const line = await nextLine(lines, this.node)
        if (line === null) break
        if ('died' in line) reason = line.died
        else if ('memoryBytes' in line) this.memoryBytes = line.memoryBytes
        else {
          if ('error' in line) reason = fromWireError(line.error).message
          this.hear(line)
        }
        // What waits for its end must not wait for the engine's: that takes seconds.
        if (reason !== null) this.finish(reason)
      }
    } catch (thrown) {
      if (!this.session.endedBy()) reason ??= asHolonError(thrown).message
    }
    const lost = this.session.endedBy() ? `The connection to node ${this.node} was lost.` : null
    this.finish(reason ?? lost ?? `Node ${this.node} ended its part without a word.`)
  }

  private finish(reason: string): void {
    if (this.end !== null) return
    this.end = reason
    this.hear(new HolonError('engine_crashed', reason, { source: 'engine' }))
    if (!this.stopped) this.tellDied(reason)
  }

  private running(ready: Extract<PartLine, { ready: unknown }>['ready']): RunningPart {
    this.memoryBytes = ready.memoryBytes
    const memory = (): number | null => this.memoryBytes
    const { head } = ready
    return {
      get memoryBytes() {
        return memory()
      },
      lease: head && (() => this.lease(head)),
    }
  }

  private lease(head: HeldEngine): EngineLease {
    if (this.end !== null) throw new HolonError('engine_crashed', this.end, { source: 'engine' })
    // The node counts by the requests themselves.
    return leaseOf(this.session, head, this.died, () => undefined)
  }
}

/** Null at the end of what the node says. */
async function nextLine(lines: AsyncGenerator<unknown>, node: string): Promise<PartLine | null> {
  const { done, value } = await lines.next()
  if (done) return null
  const line = partLine.safeParse(value)
  if (line.success) return line.data
  throw unexpected(node)
}

function lostPart(node: string): HolonError {
  return new HolonError('tunnel_lost', `Node ${node} let go of its part without a word.`)
}

function unexpected(node: string): HolonError {
  return new HolonError(
    'tunnel_misbehaved',
    `Node ${node} said something else than was asked of a pool's part.`,
  )
}
