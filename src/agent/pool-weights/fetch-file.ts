/** Gets one file from a member of the pool, with the same care as a download from anywhere: resumed, measured, verified. */
import { Agent } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { dialSecure } from '../../pool/wire/dial.ts'
import { readSecret } from '../../pool/wire/secret.ts'
import type { WeightFile, WeightSource } from '../../protocol/pool-weights.ts'
import { demandDiskSpace, freeDiskBytes } from '../models/disk-space.ts'
import { downloadFile } from '../models/download-file.ts'
import type { RetryLimits } from '../models/retry.ts'
import { shareDownload } from '../models/shared-download.ts'
import { weightsIdentity } from './serve-files.ts'

/** Few: the pool has other sources, and asks them. */
const retries: RetryLimits = { maxFailures: 3, backoffMs: 250, maxBackoffMs: 2_000 }
const dialMs = 5_000

export interface FetchOrder {
  file: WeightFile
  from: WeightSource
  /** Absolute path of the finished file. */
  target: string
  folder: string
  clock: Clock
  /** A source that brings nothing for so long has stalled, milliseconds. */
  stallMs: number
  signal: AbortSignal
  onProgress(bytes: number): void
}

/** @throws HolonError download_failed, checksum_mismatch, disk_full; the signal's reason */
export async function fetchFile(order: FetchOrder): Promise<void> {
  const { file, from, target, folder, clock, stallMs } = order
  const dispatcher = secureAgent(from)
  try {
    const share = {
      target,
      sizeBytes: file.bytes,
      clock,
      signal: order.signal,
      onProgress: ({ bytes }: { bytes: number }) => order.onProgress(bytes),
    }
    await shareDownload(share, async ({ stillMine, onProgress, signal }) => {
      await downloadFile({
        url: `http://${authority(from)}/${file.name.split('/').map(encodeURIComponent).join('/')}`,
        target,
        sizeBytes: file.bytes,
        sha256: file.sha256,
        access: { stallMs, dispatcher },
        retries,
        clock,
        // What it says was hashed by the first holder, and the hash is checked.
        inspect: async () => undefined,
        checkSpace: async (missing) => demandDiskSpace(missing, await freeDiskBytes(folder), folder),
        stillMine,
        onProgress,
        signal,
      })
    })
  } finally {
    await dispatcher.destroy()
  }
}

function authority({ host, port }: WeightSource): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** HTTP over the pair's TLS: whoever answers has shown that it knows the secret. */
function secureAgent({ host, port, secret }: WeightSource): Agent {
  const psk = readSecret(secret)
  return new Agent({
    pipelining: 1,
    connect: (_, callback) => {
      dialSecure({ host, port, identity: weightsIdentity, secret: psk, timeoutMs: dialMs }).then(
        ({ socket }) => callback(null, socket),
        (error) => callback(error, null),
      )
    },
  })
}
