/**
 * Fills in the checksum of a TCP or UDP segment in an Ethernet frame. Virtual cards leave it to the hardware that would
 * come next, and a frame that passes through user space meets none.
 */

const ipv4 = 0x0800
/** Where the checksum lies in the segment's header, by IP protocol. */
const places: Readonly<Record<number, number>> = { 6: 16, 17: 6 }

/** In place. Frames that hold no TCP or UDP over IPv4, and fragments, are left alone. @param from where the frame begins */
export function fillChecksum(bytes: Buffer, from = 0): void {
  const ip = from + 14
  if (bytes.length < ip + 20 || bytes.readUInt16BE(from + 12) !== ipv4) return
  const headerBytes = (bytes[ip]! & 0x0f) * 4
  const protocol = bytes[ip + 9]!
  const place = places[protocol]
  const fragment = bytes.readUInt16BE(ip + 6) & 0x3fff
  const segment = ip + headerBytes
  const end = ip + bytes.readUInt16BE(ip + 2)
  if (place === undefined || fragment !== 0 || end > bytes.length || segment + place + 2 > end) return
  bytes.writeUInt16BE(0, segment + place)
  const pseudoHeader = sumOf(bytes, ip + 12, ip + 20) + protocol + (end - segment)
  const sum = folded(pseudoHeader + sumOf(bytes, segment, end))
  // Of UDP a zero says that there is none.
  bytes.writeUInt16BE(protocol === 17 && sum === 0xffff ? 0xffff : ~sum & 0xffff, segment + place)
}

/** Sum of 16-bit words; an odd byte at the end is the upper half of one. */
export function sumOf(bytes: Buffer, from: number, to: number): number {
  let sum = 0
  let at = from
  for (; at + 1 < to; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!
  return at < to ? sum + (bytes[at]! << 8) : sum
}

export function folded(sum: number): number {
  let left = sum
  while (left > 0xffff) left = (left & 0xffff) + (left >>> 16)
  return left
}
