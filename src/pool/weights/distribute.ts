/**
 * Brings a model's files to the members of a pool: each gets what its engine reads there, once; what is there already,
 * in its own folder or in one that all of them see, is not sent.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { WeightFile, WeightList, WeightMember, WeightSource } from '../../protocol/pool-weights.ts'
import { FanOut, type Transfer } from './fan-out.ts'
import { type NeedOrder, neededFiles } from './needed-files.ts'

export interface WeightNode {
  name: string
  weights: WeightMember
  /** Address on the link to the others, where it serves them. */
  host: string
}

export interface DistributeOrder extends Omit<NeedOrder, 'size'> {
  model: string
  /** In order of rank. */
  members: readonly WeightNode[]
  /** Others who may have the model and are no members: the hub's own machine. */
  others?: readonly WeightNode[]
  clock: Clock
  signal: AbortSignal
  onProgress(progress: LoadProgress): void
}

/** @throws HolonError model_file_missing, disk_full, download_failed, checksum_mismatch; the signal's reason */
export async function distributeWeights(order: DistributeOrder): Promise<void> {
  const { members, others = [], model, signal, onProgress } = order
  const nodes = [...members, ...others]
  onProgress({ phase: 'looking for the weights', percent: null, etaS: null })
  const list = await firstList(nodes, model, signal)
  const needed = neededFiles({ ...order, size: members.length }, list)
  const holders = await Promise.all(
    nodes.map(async ({ name, weights }, at) => {
      const has = await weights.has(list, signal)
      return { name, has, missing: (needed[at] ?? []).filter((file) => !has.includes(file.name)) }
    }),
  )
  await Promise.all(members.map(({ weights }, at) => weights.prepare(bytesOf(holders[at]?.missing ?? []))))
  const total = holders.reduce((sum, { missing }) => sum + bytesOf(missing), 0)
  if (total === 0 && holders.every(({ missing }) => missing.length === 0)) return
  await new Distribution(order, nodes, { list, fanOut: new FanOut(holders), total }).run()
}

async function firstList(
  nodes: readonly WeightNode[],
  model: string,
  signal: AbortSignal,
): Promise<WeightList> {
  for (const { weights } of nodes) {
    const list = await weights.list(model, signal)
    if (list !== null) return list
  }
  throw new HolonError('model_file_missing', `None of the members has ${model} whole.`, {
    hint: 'Get it on one of them: `holon pull` there.',
  })
}

function bytesOf(files: readonly WeightFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

class Distribution {
  private readonly order: DistributeOrder
  private readonly nodes: ReadonlyMap<string, WeightNode>
  private readonly list: WeightList
  private readonly fanOut: FanOut
  private readonly total: number
  private readonly began: number
  /** Doors that members have opened for this distribution close when it ends. */
  private readonly over = new AbortController()
  private readonly doors = new Map<string, Promise<WeightSource>>()
  private readonly arrived = new Map<Transfer, number>()
  private doneBytes = 0

  constructor(
    order: DistributeOrder,
    nodes: readonly WeightNode[],
    { list, fanOut, total }: { list: WeightList; fanOut: FanOut; total: number },
  ) {
    this.order = order
    this.nodes = new Map(nodes.map((node) => [node.name, node]))
    this.list = list
    this.fanOut = fanOut
    this.total = total
    this.began = order.clock.now()
  }

  async run(): Promise<void> {
    const running = new Set<Promise<void>>()
    try {
      while (!this.fanOut.finished) {
        this.order.signal.throwIfAborted()
        for (const transfer of this.fanOut.next()) {
          const work = this.carry(transfer).finally(() => running.delete(work))
          running.add(work)
        }
        await Promise.race(running)
      }
    } finally {
      this.over.abort(new Error('the distribution is over'))
      await Promise.allSettled(running)
    }
  }

  private async carry(transfer: Transfer): Promise<void> {
    const { file, from, to } = transfer
    const { model, signal } = this.order
    const taker = this.nodes.get(to)
    if (!taker) return
    try {
      const source = await this.doorOf(from)
      const either = AbortSignal.any([signal, this.over.signal])
      await taker.weights.fetch(
        { model, file, from: source },
        { signal: either, onProgress: (bytes) => this.tell(transfer, bytes) },
      )
      this.doneBytes += file.bytes
      this.fanOut.done(transfer)
    } catch (thrown) {
      if (signal.aborted) return
      const error = asHolonError(thrown)
      // A full disk is not another source's to mend.
      if (error.code === 'disk_full') throw error
      this.fanOut.failed(transfer, error)
    } finally {
      this.arrived.delete(transfer)
      this.tell(null, 0)
    }
  }

  private doorOf(name: string): Promise<WeightSource> {
    const door = this.doors.get(name) ?? this.openDoor(name)
    this.doors.set(name, door)
    // One that could not be opened may be tried again.
    door.catch(() => this.doors.delete(name))
    return door
  }

  private async openDoor(name: string): Promise<WeightSource> {
    const node = this.nodes.get(name)
    if (!node) throw new HolonError('internal', `${name} is no node of this distribution.`)
    const secret = randomBytes(32).toString('base64url')
    const { host, weights } = node
    const { port } = await weights.serve({ list: this.list, host, secret }, this.over.signal)
    return { host, port, secret }
  }

  /** One figure for the pool: bytes of all transfers together. */
  private tell(transfer: Transfer | null, bytes: number): void {
    if (transfer !== null) this.arrived.set(transfer, bytes)
    let sum = this.doneBytes
    for (const part of this.arrived.values()) sum += part
    const seconds = (this.order.clock.now() - this.began) / 1000
    const left = this.total - sum
    this.order.onProgress({
      phase: 'sending weights to the members',
      percent: this.total === 0 ? null : Math.min(100, (sum / this.total) * 100),
      etaS: sum > 0 && seconds > 1 ? Math.max(0, (left * seconds) / sum) : null,
    })
  }
}
