/** A model's files on a node behind a tunnel. What it says is checked against the bounds of the protocol. */
import { PassThrough } from 'node:stream'
import { HolonError } from '../../core/errors.ts'
import { jsonLine, readJsonLines } from '../../core/lines.ts'
import { fromWireError } from '../../protocol/node-wire.ts'
import type { WeightFile, WeightList, WeightMember, WeightSource } from '../../protocol/pool-weights.ts'
import {
  maxWeightsLineBytes,
  type WeightsLine,
  type WeightsQuestion,
  weightsLine,
  weightsPath,
} from '../../protocol/pool-weights-wire.ts'
import type { TunnelSession } from '../../tunnel/session.ts'

type Done = Extract<WeightsLine, { done: unknown }>['done']

/** A node says every 5 s that it lives. */
const silenceMs = 30_000

export class RemoteWeights implements WeightMember {
  private readonly live: () => Pick<TunnelSession, 'request'>
  private readonly name: string

  constructor(live: () => Pick<TunnelSession, 'request'>, name: string) {
    this.live = live
    this.name = name
  }

  async list(model: string, signal: AbortSignal): Promise<WeightList | null> {
    return (await this.ask({ list: model }, signal)).list ?? null
  }

  async has(list: WeightList, signal: AbortSignal): Promise<string[]> {
    return (await this.ask({ has: list }, signal)).has ?? []
  }

  async prepare(bytes: number): Promise<void> {
    await this.ask({ prepare: bytes }, AbortSignal.timeout(silenceMs))
  }

  async serve(
    at: { list: WeightList; host: string; secret: string },
    signal: AbortSignal,
  ): Promise<{ port: number }> {
    const { port } = await this.ask({ serve: at }, signal, () => undefined, true)
    if (port === undefined) throw this.nonsense()
    return { port }
  }

  async fetch(
    order: { model: string; file: WeightFile; from: WeightSource },
    { signal, onProgress }: { signal: AbortSignal; onProgress(bytes: number): void },
  ): Promise<void> {
    await this.ask({ fetch: order }, signal, onProgress)
  }

  /** @param lasting the stream stays open until the signal is aborted, and with it what the node does */
  private async ask(
    question: WeightsQuestion,
    signal: AbortSignal,
    onBytes: (bytes: number) => void = () => undefined,
    lasting = false,
  ): Promise<Done> {
    signal.throwIfAborted()
    const upload = new PassThrough()
    upload.write(jsonLine(question))
    const { body, statusCode } = await this.live().request({
      path: weightsPath,
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: upload,
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      signal,
    })
    body.on('error', () => undefined)
    const end = (): void => {
      upload.end()
      body.destroy()
    }
    try {
      if (statusCode === 404) {
        throw new HolonError('pool_impossible', `Node ${this.name} cannot be given the files of a model.`, {
          hint: 'Bring Holon there to the same version as here.',
        })
      }
      const done = await this.untilDone(body, onBytes)
      if (lasting) signal.addEventListener('abort', end, { once: true })
      // What keeps coming says only that the node lives.
      if (lasting) body.resume()
      else end()
      return done
    } catch (thrown) {
      end()
      signal.throwIfAborted()
      throw thrown
    }
  }

  private async untilDone(body: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void): Promise<Done> {
    const lines = readJsonLines(body, maxWeightsLineBytes)
    for (;;) {
      const { value, done } = await lines.next()
      if (done) {
        throw new HolonError(
          'tunnel_lost',
          `The way to node ${this.name} ended while it was asked for files.`,
        )
      }
      const line = weightsLine.safeParse(value)
      if (!line.success) throw this.nonsense()
      if ('error' in line.data) throw fromWireError(line.data.error)
      if ('done' in line.data) return line.data.done
      if ('bytes' in line.data) onBytes(line.data.bytes)
    }
  }

  private nonsense(): HolonError {
    return new HolonError('tunnel_misbehaved', `Node ${this.name} answered about files with nonsense.`)
  }
}
