/**
 * The relay between two ends of a long cable: datagrams that come to a port here go on to a port of the switch after the
 * hold. Argument 1: milliseconds. Argument 2: ways as JSON, `[{from, to}, ...]`.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { HeldDatagrams } from './held-datagrams.ts'
import { relayAddress, switchAddress } from './namespaces.ts'
import { fillChecksum } from './transport-checksum.ts'

const holdMs = Number(process.argv[2])
const ways = JSON.parse(process.argv[3] ?? '[]') as { from: number; to: number }[]
const clock = {
  now: () => performance.now(),
  after: (ms: number, then: () => void) =>
    void (ms >= 1 ? setTimeout(then, Math.floor(ms)) : setImmediate(then)),
}
/** Header of the tunnel before the frame. */
const vxlanBytes = 8
const bufferBytes = 4 << 20

for (const { from, to } of ways) {
  const socket = createSocket({ type: 'udp4', recvBufferSize: bufferBytes, sendBufferSize: bufferBytes })
  const held = new HeldDatagrams({ holdMs, clock })
  socket.on('message', (datagram) => {
    fillChecksum(datagram, vxlanBytes)
    held.take(() => socket.send(datagram, to, switchAddress))
  })
  // A frame that the kernel refuses is a frame lost: TCP sends it again.
  socket.on('error', () => undefined)
  socket.bind(from, relayAddress)
  await once(socket, 'listening')
}
process.stdout.write('holding\n')
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
