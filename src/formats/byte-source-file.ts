import { open } from 'node:fs/promises'
import { HolonError } from '../core/errors.ts'
import type { ByteSource } from './byte-source.ts'

/**
 * Reads a file on this machine.
 * @throws HolonError model_file_missing when there is no such file or it cannot be opened
 */
export async function fileByteSource(path: string): Promise<ByteSource> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const why =
      cause.code === 'ENOENT' ? 'does not exist' : `cannot be opened (${cause.code ?? cause.message})`
    throw new HolonError('model_file_missing', `The model file ${path} ${why}.`, { cause })
  })
  const info = await handle.stat()
  if (!info.isFile()) {
    await handle.close()
    throw new HolonError('model_file_missing', `${path} is a folder or a device, not a model file.`, {
      hint: 'Name a .gguf file.',
    })
  }
  return {
    name: path,
    size: info.size,
    chunkBytes: 256 * 1024,
    async read(offset, length) {
      const buffer = new Uint8Array(Math.max(0, Math.min(length, info.size - offset)))
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return buffer.subarray(0, filled)
    },
    close: () => handle.close(),
  }
}
