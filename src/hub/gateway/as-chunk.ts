/**
 * One chunk of HTTP/1.1's chunked coding (RFC 9112 section 7.1), in one piece: Node writes each as four. Not for no bytes,
 * which would end the body.
 */
export function asChunk(bytes: string | Buffer): Buffer {
  const length = Buffer.byteLength(bytes)
  const size = `${length.toString(16)}\r\n`
  const chunk = Buffer.allocUnsafe(size.length + length + 2)
  chunk.write(size, 'latin1')
  if (typeof bytes === 'string') chunk.write(bytes, size.length)
  else bytes.copy(chunk, size.length)
  chunk.write('\r\n', size.length + length, 'latin1')
  return chunk
}
