import type { ByteSource } from './byte-source.ts'

/** Reads bytes that are already in memory. */
export function memoryByteSource(bytes: Uint8Array, name = 'the bytes in memory'): ByteSource {
  return {
    name,
    size: bytes.length,
    chunkBytes: 64 * 1024,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    close: async () => undefined,
  }
}
