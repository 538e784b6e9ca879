/**
 * Fetches one file, whole and verified, over a line that may cut, stall or lie. What is on the disk under the final
 * name is always complete; everything else carries `.part` and is gone on with. The server is believed in nothing
 * that can be checked: status, ranges, lengths and hashes are compared with what was promised.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import { type HttpAccess, type HttpAnswer, httpGet, networkReason } from './http-get.ts'
import { PartFile, partPath } from './part-file.ts'
import { type RetryLimits, retry, TransientFault } from './retry.ts'

export interface DownloadProgress {
  bytes: number
  totalBytes: number | null
  /** What is going on besides the transfer, for people: a check, a pause, another process. */
  note: string | null
}

export interface DownloadOrder {
  url: string
  /** Absolute path of the finished file. */
  target: string
  /** What the source promised, where it did. */
  sizeBytes: number | null
  sha256: string | null
  access: HttpAccess
  retries: RetryLimits
  clock: Clock
  /** Looks at the finished bytes before they get their name; throws when they are no good. */
  inspect: (path: string) => Promise<void>
  /** Called when the size is known, before the first byte is written. @throws HolonError disk_full */
  checkSpace: (missingBytes: number) => Promise<void>
  /** Throws when another process has taken the download over. */
  stillMine: () => void
  onProgress: (progress: DownloadProgress) => void
  signal: AbortSignal
}

export interface Downloaded {
  bytes: number
  sha256: string
}

/** @throws HolonError download_failed, checksum_mismatch, disk_full, model_file_invalid; the signal's reason */
export async function downloadFile(order: DownloadOrder): Promise<Downloaded> {
  const part = await PartFile.open(
    order.target,
    (bytes, of) =>
      order.onProgress({ bytes, totalBytes: order.sizeBytes, note: `checking the ${formatBytes(of)} here` }),
    order.signal,
  )
  try {
    await dropForeignBytes(part, order)
    let before = part.bytes
    await retry(() => fetchRest(part, order), {
      limits: order.retries,
      clock: order.clock,
      signal: order.signal,
      progressed: () => {
        const further = part.bytes > before
        before = part.bytes
        return further
      },
      onRetry: (fault, pauseMs) => {
        const note = `${fault.message} Trying again in ${formatSeconds(pauseMs / 1000)}.`
        order.onProgress({ bytes: part.bytes, totalBytes: part.identity.totalBytes, note })
      },
    })
    return await verifyAndName(part, order)
  } finally {
    await part.close()
  }
}

/** Bytes of another version of the file, or more of them than the file has, are worthless. */
async function dropForeignBytes(part: PartFile, order: DownloadOrder): Promise<void> {
  const { identity } = part
  const tooMany = order.sizeBytes !== null && part.bytes > order.sizeBytes
  const otherHash = order.sha256 !== identity.sha256
  // Without a hash to check at the end and without a validator, nothing says that the bytes belong together.
  const unprovable = order.sha256 === null && identity.validator === null
  if (part.bytes > 0 && (tooMany || otherHash || unprovable)) await part.restart()
  await part.remember({ ...part.identity, sha256: order.sha256 })
}

async function fetchRest(part: PartFile, order: DownloadOrder): Promise<void> {
  const known = order.sizeBytes ?? part.identity.totalBytes
  if (known !== null && part.bytes === known) return
  const answer = await httpGet(order.url, order.access, { signal: order.signal, headers: rangeHeaders(part) })
  try {
    const goOn = await accept(answer, part, order)
    if (!goOn) return
    await receive(answer, part, order)
  } finally {
    await answer.discard()
  }
}

function rangeHeaders(part: PartFile): Record<string, string> {
  if (part.bytes === 0) return {}
  const { validator } = part.identity
  return { range: `bytes=${part.bytes}-`, ...(validator === null ? {} : { 'if-range': validator }) }
}

/**
 * Decides from status and headers whether the body continues what is there. Returns false when nothing is missing.
 */
async function accept(answer: HttpAnswer, part: PartFile, order: DownloadOrder): Promise<boolean> {
  if (answer.status === 416) return settleUnsatisfiable(answer, part, order)
  if (answer.status !== 200 && answer.status !== 206) throw refusal(answer, order)
  const offered = answer.status === 206 ? await acceptRange(answer, part) : await acceptWhole(answer, part)
  if (order.sizeBytes !== null && offered !== null && offered !== order.sizeBytes) {
    throw disagreement(order, `the server offers ${offered} bytes where ${order.sizeBytes} were promised`)
  }
  const totalBytes = order.sizeBytes ?? offered
  if (totalBytes !== null) await order.checkSpace(totalBytes - part.bytes)
  const validator = validatorOf(answer) ?? part.identity.validator
  await part.remember({ validator, totalBytes, sha256: order.sha256 })
  return true
}

/** 206: the rest. Returns the size of the whole file, if told. */
async function acceptRange(answer: HttpAnswer, part: PartFile): Promise<number | null> {
  const [, from, total] =
    /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(answer.header('content-range') ?? '') ?? []
  const { validator, totalBytes } = part.identity
  const otherFile = validator !== null && validatorOf(answer) !== null && validatorOf(answer) !== validator
  const otherSize = totalBytes !== null && total !== '*' && Number(total) !== totalBytes
  if (from === undefined || Number(from) !== part.bytes || otherFile || otherSize) {
    await part.restart()
    throw new TransientFault('The file changed at the source; starting again.')
  }
  return total === '*' ? null : Number(total)
}

/** 200: everything from the start, because the file changed or the server knows no ranges. */
async function acceptWhole(answer: HttpAnswer, part: PartFile): Promise<number | null> {
  if (part.bytes > 0) await part.restart()
  const length = Number(answer.header('content-length') ?? Number.NaN)
  return Number.isSafeInteger(length) ? length : null
}

/** 416: there is nothing after what is here. That is either the end or another file. */
async function settleUnsatisfiable(
  answer: HttpAnswer,
  part: PartFile,
  order: DownloadOrder,
): Promise<boolean> {
  const total = /\/(\d{1,15})$/.exec(answer.header('content-range') ?? '')?.[1]
  const promised = order.sizeBytes ?? part.identity.totalBytes
  if (total !== undefined && Number(total) === part.bytes) {
    if (promised === null || promised === part.bytes) return false
    throw disagreement(order, `the server has ${part.bytes} bytes where ${promised} were promised`)
  }
  await part.restart()
  throw new TransientFault('The file changed at the source; starting again.')
}

async function receive(answer: HttpAnswer, part: PartFile, order: DownloadOrder): Promise<void> {
  const { totalBytes } = part.identity
  let checkedAt = order.clock.now()
  try {
    for await (const chunk of answer.body) {
      if (totalBytes !== null && part.bytes + chunk.length > totalBytes) {
        throw disagreement(order, `the server sends more than the ${totalBytes} bytes that were promised`)
      }
      await part.append(chunk)
      order.onProgress({ bytes: part.bytes, totalBytes, note: null })
      if (order.clock.now() - checkedAt > 1000) {
        checkedAt = order.clock.now()
        order.stillMine()
      }
    }
  } catch (thrown) {
    order.signal.throwIfAborted()
    if (thrown instanceof HolonError) throw thrown
    throw new TransientFault(`The download broke off: ${networkReason(thrown)}.`, { cause: thrown })
  }
  if (totalBytes !== null && part.bytes < totalBytes) {
    throw new TransientFault(`The server stopped after ${part.bytes} of ${totalBytes} bytes.`)
  }
}

async function verifyAndName(part: PartFile, order: DownloadOrder): Promise<Downloaded> {
  const sha256 = await part.seal()
  const { bytes } = part
  if (order.sha256 !== null && sha256 !== order.sha256) {
    const aside = await part.setAside()
    throw new HolonError(
      'checksum_mismatch',
      `${order.target} does not have the SHA-256 that its source promised.`,
      { hint: `The bytes were set aside as ${aside}; run the command again to fetch them anew.` },
    )
  }
  try {
    await order.inspect(partPath(order.target))
  } catch (thrown) {
    await part.setAside()
    throw thrown
  }
  order.stillMine()
  await part.finish()
  return { bytes, sha256 }
}

/** A strong ETag, else the date; a weak ETag cannot vouch for bytes. */
function validatorOf(answer: HttpAnswer): string | null {
  const etag = answer.header('etag')
  if (etag?.startsWith('"')) return etag
  return answer.header('last-modified')
}

function refusal(answer: HttpAnswer, order: DownloadOrder): HolonError {
  const host = new URL(order.url).host
  const { status } = answer
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = Number(answer.header('retry-after') ?? Number.NaN)
    return new TransientFault(
      `${host} answered ${status}.`,
      Number.isFinite(seconds) ? { retryAfterS: seconds } : {},
    )
  }
  if (status === 401 || status === 403) {
    return new HolonError(
      'download_failed',
      `${host} does not give this file without permission (${status}).`,
      {
        hint: 'For a private or gated model accept its terms on huggingface.co and set HF_TOKEN.',
      },
    )
  }
  if (status === 404 || status === 410) {
    return new HolonError('model_not_found', `${host} has no such file (${status}).`, {
      hint: 'Check the name.',
    })
  }
  return new HolonError('download_failed', `${host} answered ${status}.`)
}

function disagreement(order: DownloadOrder, what: string): HolonError {
  return new HolonError('download_failed', `${new URL(order.url).host} contradicts itself: ${what}.`, {
    hint: 'Try again later, or from another source; what is here was kept.',
  })
}
