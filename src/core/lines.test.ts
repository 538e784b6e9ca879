import { expect, test } from 'vitest'
import { jsonLine, readJsonLines } from './lines.ts'

async function read(pieces: string[], maxBytes = 1_000): Promise<unknown[]> {
  const bytes = async function* () {
    for (const piece of pieces) yield Buffer.from(piece)
  }
  const lines: unknown[] = []
  for await (const line of readJsonLines(bytes(), maxBytes)) lines.push(line)
  return lines
}

test('lines come out the same however their bytes are cut', async () => {
  const values = [{ a: 'é' }, [1, 2], 'three']
  const bytes = Buffer.from(values.map(jsonLine).join(''))
  for (let size = 1; size <= bytes.length; size++) {
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    }
    const read = []
    for await (const line of readJsonLines(pieces(), 100)) read.push(line)
    expect(read).toEqual(values)
  }
})

test('a line that never ends is cut off at the bound, whatever it is cut into', async () => {
  await expect(read(['x'.repeat(60), 'x'.repeat(60)], 100)).rejects.toMatchObject({
    code: 'tunnel_misbehaved',
  })
  await expect(read([`${'x'.repeat(120)}\n`], 100)).rejects.toMatchObject({ code: 'tunnel_misbehaved' })
})

test('what is no JSON is refused, and half a last line is no line', async () => {
  await expect(read(['{]\n'])).rejects.toThrow(/no JSON/)
  expect(await read(['1\n\n2\n{"half":'])).toEqual([1, 2])
})
