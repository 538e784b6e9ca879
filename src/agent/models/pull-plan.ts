/** What a pull will fetch: decided, with every address, size and place, before the first byte. */
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { splitSetNames } from '../../formats/gguf/split-name.ts'
import { chooseQuant, type RemoteFile, remoteModels } from './choose-quant.ts'
import { fileUrl, type HuggingFaceAccess, listRepoFiles } from './hugging-face.ts'
import type { PullSpec } from './pull-spec.ts'
import { type RetryLimits, retry } from './retry.ts'

export interface PlannedFile {
  url: string
  /** Absolute path of the finished file. */
  target: string
  sizeBytes: number | null
  sha256: string | null
  /** What to pull to get this file again. */
  source: string
}

export interface PullPlan {
  files: PlannedFile[]
  /** Why these files, when there was a choice. */
  because: string | null
}

export interface PlanContext {
  modelsFolder: string
  huggingFace: HuggingFaceAccess
  retries: RetryLimits
  clock: Clock
  signal: AbortSignal
}

export async function planPull(
  spec: Exclude<PullSpec, { kind: 'file' }>,
  context: PlanContext,
): Promise<PullPlan> {
  return spec.kind === 'url' ? planUrl(spec.url, context) : planRepo(spec, context)
}

async function planRepo(
  spec: Extract<PullSpec, { kind: 'hugging-face' }>,
  context: PlanContext,
): Promise<PullPlan> {
  const { huggingFace, signal, clock } = context
  const list = await retry(() => listRepoFiles(spec.repo, huggingFace, signal), {
    limits: context.retries,
    clock,
    signal,
  })
  const { files, because } =
    spec.file === null ? chooseQuant(spec.repo, remoteModels(list), spec.quant) : named(spec, list)
  return {
    because,
    files: files.map((file) => ({
      url: fileUrl(spec.repo, file.path, huggingFace.endpoint),
      target: join(
        context.modelsFolder,
        'hf',
        ...spec.repo.split('/'),
        ...file.path.split('/').map(safeSegment),
      ),
      sizeBytes: file.sizeBytes,
      sha256: file.sha256,
      source: `${spec.repo}/${file.path}`,
    })),
  }
}

/** A file asked for by name, with the other parts when it is one of a split. */
function named(
  spec: Extract<PullSpec, { kind: 'hugging-face' }>,
  list: RemoteFile[],
): { files: RemoteFile[]; because: null } {
  const files = splitSetNames(spec.file ?? '').map((path) => {
    const file = list.find((candidate) => candidate.path === path)
    if (file) return file
    const models = list
      .filter((candidate) => /\.gguf$/i.test(candidate.path))
      .map((candidate) => candidate.path)
    const has = models.length > 0 ? `It has: ${models.slice(0, 20).join(', ')}.` : 'It holds no GGUF file.'
    throw new HolonError('model_not_found', `${spec.repo} has no file ${path}. ${has}`, {
      hint: 'Check the name.',
    })
  })
  return { files, because: null }
}

function planUrl(url: URL, context: PlanContext): PullPlan {
  const folders = url.pathname.split('/').slice(1, -1)
  const name = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1)) || 'model'
  const files = splitSetNames(name).map((part) => {
    const address = new URL(url)
    address.pathname = [...['', ...folders], encodeURIComponent(part)].join('/')
    const path = [url.host, ...folders].map((segment) => safeSegment(decodeURIComponent(segment)))
    return {
      url: address.href,
      target: join(context.modelsFolder, 'url', ...path, fileNameFor(part, url.search)),
      sizeBytes: null,
      sha256: null,
      // A query may hold a signature that is nobody's business later.
      source: `${address.origin}${address.pathname}`,
    }
  })
  return { files, because: null }
}

/** Ends in .gguf, so that the scan finds it; a query that may name another file makes another name. */
function fileNameFor(part: string, query: string): string {
  const stem = safeSegment(basename(part).replace(/\.gguf$/i, ''))
  const mark = query === '' ? '' : `-${createHash('sha256').update(query).digest('hex').slice(0, 8)}`
  return `${stem}${mark}.gguf`
}

/** One path segment that is a plain name on every system. */
function safeSegment(segment: string): string {
  const plain = segment
    .replace(/[^\w.+-]/g, '_')
    .replace(/^\.+/, '_')
    .slice(0, 150)
  return plain === '' ? '_' : plain
}
