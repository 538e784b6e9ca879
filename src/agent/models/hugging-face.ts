/** The two calls of Hugging Face's HTTP API that a pull needs: the list of a repository's files, and a file's address. */
import { HolonError } from '../../core/errors.ts'
import type { RemoteFile } from './choose-quant.ts'
import { type HttpAccess, httpGet } from './http-get.ts'
import { TransientFault } from './retry.ts'

export interface HuggingFaceAccess extends HttpAccess {
  /** `https://huggingface.co`, or a mirror (`HF_ENDPOINT`). */
  endpoint: string
}

/** A repository with more files than this is no model repository. */
const maxPages = 20
const maxListBytes = 16 * 1024 * 1024

/**
 * Every file of the repository's main branch with its size and SHA-256.
 * @throws HolonError model_not_found, download_failed (a TransientFault when trying again may help)
 */
export async function listRepoFiles(
  repo: string,
  access: HuggingFaceAccess,
  signal: AbortSignal,
): Promise<RemoteFile[]> {
  const files: RemoteFile[] = []
  let next: string | null = `${access.endpoint}/api/models/${repo}/tree/main?recursive=1`
  for (let page = 0; next !== null && page < maxPages; page++) {
    const response = await httpGet(next, access, { signal })
    if (response.status !== 200) {
      await response.discard()
      throw refusal(repo, response.status, access)
    }
    files.push(...parseTree(repo, await response.text(maxListBytes)))
    next = nextPage(response.header('link'), access.endpoint)
  }
  return files
}

export function fileUrl(repo: string, path: string, endpoint: string): string {
  const encoded = path.split('/').map(encodeURIComponent).join('/')
  return `${endpoint}/${repo}/resolve/main/${encoded}`
}

function parseTree(repo: string, text: string): RemoteFile[] {
  const broken = (): HolonError =>
    new HolonError('download_failed', `The list of files of ${repo} is not what the API promises.`, {
      hint: 'Is HF_ENDPOINT set to a server that speaks the Hugging Face API?',
    })
  let entries: unknown
  try {
    entries = JSON.parse(text)
  } catch {
    throw broken()
  }
  if (!Array.isArray(entries)) throw broken()
  return entries.flatMap((entry): RemoteFile[] => {
    if (entry?.type !== 'file' || typeof entry.path !== 'string') return []
    if (entry.path.split('/').includes('..') || entry.path.startsWith('/')) return []
    const size = entry.lfs?.size ?? entry.size
    if (!Number.isSafeInteger(size) || size < 0) return []
    const oid = entry.lfs?.oid
    const sha256 = typeof oid === 'string' && /^[0-9a-f]{64}$/.test(oid) ? oid : null
    return [{ path: entry.path, sizeBytes: size, sha256 }]
  })
}

/** Only a page of the same server is followed, because the token goes along. */
function nextPage(link: string | null, endpoint: string): string | null {
  const url = /<([^>]+)>\s*;\s*rel="next"/.exec(link ?? '')?.[1]
  return url !== undefined && URL.canParse(url) && new URL(url).origin === new URL(endpoint).origin
    ? url
    : null
}

function refusal(repo: string, status: number, access: HuggingFaceAccess): HolonError {
  if (status === 401 || status === 403 || status === 404) {
    const why = access.token
      ? `There is no repository ${repo} that this HF_TOKEN may read.`
      : `There is no public repository ${repo}.`
    return new HolonError('model_not_found', why, {
      hint: 'Check the name. For a private or gated model accept its terms on huggingface.co and set HF_TOKEN.',
    })
  }
  if (status === 429 || status >= 500)
    return new TransientFault(`${access.endpoint} answered ${status} for ${repo}.`)
  return new HolonError('download_failed', `${access.endpoint} answered ${status} for ${repo}.`)
}
