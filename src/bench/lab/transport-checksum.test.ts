import { expect, test } from 'vitest'
import { fillChecksum, folded, sumOf } from './transport-checksum.ts'

const ethernet = '0200000000020200000000010800'

/** From 10.0.0.1 to 10.0.0.2. */
function frame(protocol: number, segment: string): Buffer {
  const length = 20 + segment.length / 2
  const header = Buffer.alloc(20)
  header[0] = 0x45
  header.writeUInt16BE(length, 2)
  header[8] = 64
  header[9] = protocol
  Buffer.from([10, 0, 0, 1, 10, 0, 0, 2]).copy(header, 12)
  return Buffer.concat([Buffer.from(ethernet, 'hex'), header, Buffer.from(segment, 'hex')])
}

/** What a receiver does: everything summed, checksum and all, gives all ones. */
function isRight(bytes: Buffer): boolean {
  const segment = 34
  const sum =
    sumOf(bytes, 26, 34) + bytes[23]! + (bytes.length - segment) + sumOf(bytes, segment, bytes.length)
  return folded(sum) === 0xffff
}

const udp = `1234567800${(8 + 5).toString(16).padStart(2, '0')}beef68656c6c6f`
const tcp = `123456780000000100000002501004000bad0000${'a1b2c3'}`

test('a wrong checksum is made right, with an odd number of bytes too', () => {
  for (const [protocol, segment] of [
    [17, udp],
    [6, tcp],
  ] as const) {
    const bytes = frame(protocol, segment)
    expect(isRight(bytes)).toBe(false)
    fillChecksum(bytes)
    expect(isRight(bytes)).toBe(true)
  }
})

test('it is the same value that is known for a segment: UDP of "hello" between the two ports', () => {
  const bytes = frame(17, udp)
  fillChecksum(bytes)
  // 0a00+0001+0a00+0002 + 0011+000d + 1234+5678+000d + 6865+6c6c+6f00 = 0x1c124, folded c125, complement 3eda.
  expect(folded(0x0a00 + 1 + 0x0a00 + 2 + 0x11 + 13 + 0x1234 + 0x5678 + 13 + 0x6865 + 0x6c6c + 0x6f00)).toBe(
    ~bytes.readUInt16BE(40) & 0xffff,
  )
})

test('a frame may begin later, behind a header of the tunnel', () => {
  const bytes = Buffer.concat([Buffer.alloc(8, 0xff), frame(6, tcp)])
  fillChecksum(bytes, 8)
  expect(isRight(bytes.subarray(8))).toBe(true)
})

test('what is neither TCP nor UDP over IPv4, a fragment, and what is cut short are left alone', () => {
  const arp = frame(17, udp)
  arp.writeUInt16BE(0x0806, 12)
  const fragment = frame(17, udp)
  fragment.writeUInt16BE(0x2000, 20)
  const cut = frame(17, udp).subarray(0, 40)
  for (const bytes of [arp, fragment, cut, frame(1, udp), Buffer.alloc(10)]) {
    const before = Buffer.from(bytes)
    fillChecksum(bytes)
    expect(bytes.equals(before)).toBe(true)
  }
})
