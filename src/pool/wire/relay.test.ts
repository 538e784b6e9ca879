import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { joinedBytes } from './limits.ts'
import { type MayWait, relay } from './relay.ts'

/** One end in memory: what it is given arrives as its peer's pieces, and what it is written is kept write by write. */
class End extends Duplex {
  readonly writes: string[] = []
  private tell: () => void = () => undefined

  constructor() {
    super({ allowHalfOpen: true, highWaterMark: 1_000_000 })
  }

  override _read(): void {}

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk)).toString())
    this.tell()
    done()
  }

  override _final(done: () => void): void {
    this.writes.push('end')
    this.tell()
    done()
  }

  async written(count: number): Promise<string[]> {
    while (this.writes.length < count)
      await new Promise<void>((resolve) => {
        this.tell = resolve
      })
    return this.writes
  }
}

/** @param waits for each piece in turn, whether it may wait */
function relayed(waits: boolean[]): { engine: End; peer: End } {
  const [engine, peer] = [new End(), new End()]
  const mayWait: MayWait = () => waits.shift() ?? false
  relay(
    { socket: engine, drop: () => undefined },
    { socket: peer, drop: () => undefined },
    () => undefined,
    mayWait,
  )
  return { engine, peer }
}

test('pieces that may wait leave with the one that may not, in one write', async () => {
  const { engine, peer } = relayed([true, true, false, false])
  for (const piece of ['a', 'b', 'c']) engine.push(piece)
  expect(await peer.written(1)).toEqual(['abc'])
  engine.push('d')
  expect(await peer.written(2)).toEqual(['abc', 'd'])
})

test('a piece that waits for nothing leaves all the same, and so does the end', async () => {
  const { engine, peer } = relayed([true, true])
  engine.push('a')
  expect(await peer.written(1)).toEqual(['a'])
  engine.push('b')
  engine.push(null)
  expect(await peer.written(3)).toEqual(['a', 'b', 'end'])
})

test('no more waits than the limit: a long message is on its way before it is whole', async () => {
  const { engine, peer } = relayed(Array.from({ length: 100 }, () => true))
  const piece = 'x'.repeat(joinedBytes / 4 - 1)
  for (let i = 0; i < 6; i++) engine.push(piece)
  const [first, second] = await peer.written(2)
  expect([first?.length, second?.length]).toEqual([5 * piece.length, piece.length])
})

test('what the peer sends never waits', async () => {
  const { engine, peer } = relayed([true])
  peer.push('a')
  expect(await engine.written(1)).toEqual(['a'])
})
