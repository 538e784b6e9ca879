/**
 * `holon pull`: from what a person wrote to a verified model on the disk. Everything slow reports progress, every
 * byte is checked, and whatever happens the next run goes on where this one stopped.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { readGgufFile } from '../../formats/gguf/read-gguf-set.ts'
import { adoptFile } from './adopt-file.ts'
import { demandDiskSpace, freeDiskBytes } from './disk-space.ts'
import { type DownloadProgress, downloadFile } from './download-file.ts'
import type { HuggingFaceAccess } from './hugging-face.ts'
import { readOrigin, writeOrigin } from './model-origin.ts'
import { partPath } from './part-file.ts'
import { type PlannedFile, planPull } from './pull-plan.ts'
import { parsePullSpec } from './pull-spec.ts'
import { downloadRetries, type RetryLimits } from './retry.ts'
import { shareDownload } from './shared-download.ts'
import { TransferRate } from './transfer-rate.ts'

/** One moment of a pull, for a progress bar. Bytes count all files of the model together. */
export interface PullProgress {
  file: string
  /** Counted from 1. */
  fileNumber: number
  fileCount: number
  bytes: number
  totalBytes: number | null
  bytesPerSecond: number | null
  etaS: number | null
  /** Besides the transfer: a check, a retry with its reason, another process at work. */
  note: string | null
}

export interface PullResult {
  /** The file, or the first one of a split. */
  path: string
  sizeBytes: number
  /** True when it was there already, complete. */
  alreadyHere: boolean
  /** Why this quant, when there was a choice. */
  because: string | null
}

export interface PullContext {
  modelsFolder: string
  /** Relative paths are taken from here. */
  cwd: string
  huggingFace: HuggingFaceAccess
  clock: Clock
  retries?: RetryLimits
  /** Replaced in tests. */
  freeBytes?: (folder: string) => Promise<number>
}

export interface PullOptions {
  signal: AbortSignal
  onProgress?: (progress: PullProgress) => void
}

/** Reads `HF_ENDPOINT` and `HF_TOKEN`. The token goes to that endpoint's origin and nowhere else. */
export function huggingFaceFromEnv(env: NodeJS.ProcessEnv, stallMs = 30_000): HuggingFaceAccess {
  const endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
  const tokenOrigin = URL.canParse(endpoint) ? new URL(endpoint).origin : undefined
  return { endpoint, stallMs, token: env.HF_TOKEN || undefined, tokenOrigin }
}

/**
 * @throws HolonError usage, model_not_found, download_failed, checksum_mismatch, disk_full, model_file_missing,
 * model_file_invalid; the signal's reason when it was aborted
 */
export async function pullModel(
  text: string,
  context: PullContext,
  options: PullOptions,
): Promise<PullResult> {
  const spec = parsePullSpec(text, context.cwd)
  const freeBytes = context.freeBytes ?? freeDiskBytes
  if (spec.kind === 'file') {
    const onProgress = (step: { file: string; bytes: number; totalBytes: number }): void =>
      options.onProgress?.({
        ...step,
        fileNumber: 1,
        fileCount: 1,
        bytesPerSecond: null,
        etaS: null,
        note: 'copying',
      })
    const adopted = await adoptFile(spec.path, { ...context, freeBytes, signal: options.signal, onProgress })
    return { ...adopted, because: null }
  }
  const retries = context.retries ?? downloadRetries
  const plan = await planPull(spec, { ...context, retries, signal: options.signal })
  const missing: PlannedFile[] = []
  for (const file of plan.files) if (!(await isComplete(file, options))) missing.push(file)
  await demandRoom(missing, context.modelsFolder, freeBytes)

  const meter = new PullMeter(plan.files, context.clock, options.onProgress)
  for (const file of plan.files) {
    const fetched = missing.includes(file)
    if (fetched) await fetchFile(file, { ...context, retries, freeBytes }, meter, options.signal)
    meter.finished(file, (await stat(file.target)).size, fetched)
  }
  return {
    path: plan.files[0]!.target,
    sizeBytes: meter.finishedBytes,
    alreadyHere: missing.length === 0,
    because: plan.because,
  }
}

async function fetchFile(
  file: PlannedFile,
  context: PullContext & { retries: RetryLimits; freeBytes: (folder: string) => Promise<number> },
  meter: PullMeter,
  signal: AbortSignal,
): Promise<void> {
  const share = {
    target: file.target,
    sizeBytes: file.sizeBytes,
    clock: context.clock,
    signal,
    onProgress: (progress: DownloadProgress): void => meter.progress(file, progress),
  }
  await shareDownload(share, async (work) => {
    const folder = dirname(file.target)
    const done = await downloadFile({
      ...work,
      ...file,
      access: context.huggingFace,
      retries: context.retries,
      clock: context.clock,
      inspect: async (path) => {
        await readGgufFile(path)
      },
      checkSpace: async (bytes) => demandDiskSpace(bytes, await context.freeBytes(folder), folder),
    })
    await writeOrigin(file.target, { source: file.source, sizeBytes: done.bytes, sha256: done.sha256 })
  })
}

/** True when the finished file is there and is what the source offers now. */
async function isComplete(file: PlannedFile, options: PullOptions): Promise<boolean> {
  const info = await stat(file.target).catch(() => null)
  if (info === null) return false
  // A plain URL promises nothing to compare with: a finished file is taken as it is.
  if (file.sizeBytes === null) return true
  if (info.size !== file.sizeBytes) return false
  if (file.sha256 === null) return true
  const origin = await readOrigin(file.target)
  return file.sha256 === (origin?.sha256 ?? (await hashFile(file.target, options.signal)))
}

async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1024 * 1024, signal }))
    hash.update(chunk)
  return hash.digest('hex')
}

async function demandRoom(
  missing: PlannedFile[],
  folder: string,
  freeBytes: (folder: string) => Promise<number>,
): Promise<void> {
  let bytes = 0
  for (const file of missing) {
    const here = await stat(partPath(file.target)).catch(() => null)
    bytes += Math.max(0, (file.sizeBytes ?? 0) - (here?.size ?? 0))
  }
  if (bytes > 0) demandDiskSpace(bytes, await freeBytes(folder), folder)
}

/** Adds the files of a split up to one picture. */
class PullMeter {
  finishedBytes = 0
  /** Of files that were there before: they say nothing about the speed of the line. */
  private skippedBytes = 0
  private readonly files: PlannedFile[]
  private readonly rate: TransferRate
  private readonly listener: PullOptions['onProgress']
  private readonly promisedBytes: number | null

  constructor(files: PlannedFile[], clock: Clock, listener: PullOptions['onProgress']) {
    this.files = files
    this.rate = new TransferRate(clock)
    this.listener = listener
    const sizes = files.map((file) => file.sizeBytes)
    this.promisedBytes = sizes.some((size) => size === null)
      ? null
      : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  }

  progress(file: PlannedFile, { bytes, totalBytes, note }: DownloadProgress): void {
    const all = this.finishedBytes + bytes
    const total = this.promisedBytes ?? (this.files.length === 1 ? totalBytes : null)
    if (note === null) this.rate.sample(all - this.skippedBytes)
    const speed = note === null ? this.rate.bytesPerSecond : null
    this.listener?.({
      file: basename(file.target),
      fileNumber: this.files.indexOf(file) + 1,
      fileCount: this.files.length,
      bytes: all,
      totalBytes: total,
      bytesPerSecond: speed,
      etaS: speed && total !== null ? (total - all) / speed : null,
      note,
    })
  }

  finished(file: PlannedFile, bytes: number, fetched: boolean): void {
    if (fetched) this.progress(file, { bytes, totalBytes: bytes, note: null })
    else this.skippedBytes += bytes
    this.finishedBytes += bytes
  }
}
