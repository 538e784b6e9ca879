/**
 * The models on this machine: those pulled into HOLON_HOME, those in folders the owner named, and the demonstration
 * model that ships with Holon. A file that cannot be used is listed with its problem: people look for what they
 * pulled, and silence helps nobody.
 */
import { access, rm, rmdir } from 'node:fs/promises'
import { delimiter, dirname, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Clock, systemClock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import { type Log, silentLog } from '../../core/log.ts'
import type { ModelInfo } from '../../protocol/model.ts'
import type { ModelShape } from '../memory-need.ts'
import { describeModel, type ModelDescription } from './describe-model.ts'
import type { HuggingFaceAccess } from './hugging-face.ts'
import { assignIds, readIds, writeIds } from './model-ids.ts'
import { originPath, readOrigin } from './model-origin.ts'
import { leftovers } from './part-file.ts'
import { huggingFaceFromEnv, type PullOptions, type PullResult, pullModel } from './pull-model.ts'
import { type FoundModel, placeInRoot, scanModels } from './scan-models.ts'

export const demoModelId = 'holon-demo'

/** The file committed with Holon, found from the source tree and from the built one alike. */
export const shippedDemoPath = fileURLToPath(new URL('../../../assets/holon-demo.gguf', import.meta.url))

export interface StoredModel {
  info: ModelInfo
  /** What the memory estimate needs; null when the file cannot be used. */
  shape: ModelShape | null
}

export interface ModelStore {
  /** Every model, fresh from the disk; headers are read once per version of a file. */
  list(): Promise<StoredModel[]>
  /** By name, in any case of letters. @throws HolonError model_not_found */
  find(id: string): Promise<StoredModel>
  /**
   * Deletes the files of a model in HOLON_HOME. The caller unloads it first.
   * @throws HolonError model_not_found; usage for a model that Holon does not own
   */
  remove(id: string): Promise<{ freedBytes: number }>
  /** @throws what `pullModel` throws */
  pull(source: string, options: PullOptions & { cwd?: string }): Promise<PullResult & { id: string }>
}

export interface ModelStoreOptions {
  home: Home
  log?: Log
  /** By default `HF_ENDPOINT` and `HF_TOKEN`. */
  huggingFace?: HuggingFaceAccess
  clock?: Clock
  /** Further folders to look in; they are read, never written (see `modelFoldersFromEnv`). */
  folders?: readonly string[]
  /** Null for none. */
  demoPath?: string | null
}

/** `HOLON_MODELS_DIR`: one or more folders, separated as in PATH. */
export function modelFoldersFromEnv(env: NodeJS.ProcessEnv): string[] {
  return (env.HOLON_MODELS_DIR ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => resolve(folder))
}

interface Entry extends StoredModel {
  found: FoundModel
}

export function createModelStore(options: ModelStoreOptions): ModelStore {
  const { home } = options
  const log = options.log ?? silentLog
  const clock = options.clock ?? systemClock
  const huggingFace = options.huggingFace ?? huggingFaceFromEnv(process.env)
  const demoPath = options.demoPath === undefined ? shippedDemoPath : options.demoPath
  const cache = new Map<string, { fingerprint: string; description: ModelDescription }>()
  let scanning: Promise<Entry[]> | null = null

  async function describe(found: FoundModel): Promise<ModelDescription> {
    const cached = cache.get(found.path)
    if (cached?.fingerprint === found.fingerprint) return cached.description
    const description = await describeModel(found.path, found.sizeBytes)
    cache.set(found.path, { fingerprint: found.fingerprint, description })
    return description
  }

  async function scan(): Promise<Entry[]> {
    const found = await scanModels([home.models, ...(options.folders ?? [])])
    const models: { found: FoundModel; description: ModelDescription }[] = []
    for (const model of found) {
      const description = await describe(model)
      if (description.kind === 'model') models.push({ found: model, description })
    }
    forgetAllBut(cache, found)
    const ids = await namesFor(models)
    const entries = await Promise.all(
      models.map(async ({ found: model, description }) => {
        const source = await sourceOf(model, home)
        return entryOf(model, description, ids.get(model.path)!, source, false)
      }),
    )
    return [...entries, ...(await demoEntry())]
  }

  async function namesFor(
    models: { found: FoundModel; description: ModelDescription }[],
  ): Promise<Map<string, string>> {
    const nameable = models.map(({ found, description }) => ({ ...description, path: found.path }))
    const known = await readIds(home.models)
    const ids = assignIds(nameable, known, new Set([demoModelId]))
    const news = [...ids].filter(([path, id]) => known.get(path) !== id)
    if (news.length > 0) {
      // A disk that cannot be written only means that names are worked out anew next time.
      await writeIds(home.models, merged(known, ids)).catch((thrown) =>
        log.warn({ thrown }, 'the names of the models could not be kept'),
      )
    }
    return ids
  }

  async function demoEntry(): Promise<Entry[]> {
    if (demoPath === null || !(await exists(demoPath))) return []
    const [found] = (await scanModels([dirname(demoPath)])).filter((model) => model.path === demoPath)
    if (!found) return []
    return [entryOf(found, await describe(found), demoModelId, 'ships with Holon', true)]
  }

  /** Callers that ask at the same time share one look at the disk. */
  function entries(): Promise<Entry[]> {
    scanning ??= scan().finally(() => {
      scanning = null
    })
    return scanning
  }

  async function find(id: string): Promise<Entry> {
    // The look that was shared may have begun before the file was there: a miss is worth a second look.
    const entry = byName(await entries(), id) ?? byName(await entries(), id)
    if (entry) return entry
    throw new HolonError('model_not_found', `There is no model "${id}" on this machine.`, { param: 'model' })
  }

  return {
    list: async () => (await entries()).map(({ info, shape }) => ({ info, shape })),
    find,
    async remove(id) {
      const { info, found } = await find(id)
      if (info.demo || found.root !== home.models) {
        const why = info.demo ? 'ships with Holon' : `lies in ${found.root}, which Holon only reads`
        throw new HolonError('usage', `${info.id} ${why}.`, {
          hint: 'Delete the file yourself if you want it gone.',
        })
      }
      for (const file of found.files) {
        for (const path of [file, originPath(file), ...leftovers(file)]) await rm(path, { force: true })
      }
      await removeEmptyFolders(dirname(found.path), home.models)
      const ids = await readIds(home.models)
      ids.delete(found.path)
      await writeIds(home.models, ids)
      return { freedBytes: info.sizeBytes }
    },
    async pull(source, { cwd, ...rest }) {
      const context = { modelsFolder: home.models, cwd: cwd ?? process.cwd(), huggingFace, clock }
      const result = await pullModel(source, context, rest)
      // A look that began before the file was there must not answer this one.
      await scanning?.catch(() => undefined)
      const entry = (await entries()).find((model) => model.info.path === result.path)
      return { ...result, id: entry?.info.id ?? source }
    },
  }
}

function byName(entries: readonly Entry[], id: string): Entry | undefined {
  const lower = id.toLowerCase()
  return (
    entries.find(({ info }) => info.id === id) ?? entries.find(({ info }) => info.id.toLowerCase() === lower)
  )
}

function entryOf(
  found: FoundModel,
  description: ModelDescription,
  id: string,
  source: string,
  demo: boolean,
): Entry {
  const { kind: _, shape, ...said } = description
  const info: ModelInfo = { id, path: found.path, source, format: 'gguf', ...said, demo }
  return { info, shape, found }
}

/** What the sidecar says, else where it lies. */
async function sourceOf(found: FoundModel, home: Home): Promise<string> {
  const origin = await readOrigin(found.path)
  if (origin) return origin.source
  return found.root === home.models ? placeInRoot(found).replace(/^(hf|url)\//, '') : found.path
}

/** Names of models that are gone stay known, so that a disk that is unplugged for a day keeps its names. */
function merged(known: ReadonlyMap<string, string>, ids: ReadonlyMap<string, string>): Map<string, string> {
  const now = new Set(ids.values())
  const kept = [...known].filter(([path, id]) => !ids.has(path) && !now.has(id)).slice(-1000)
  return new Map([...kept, ...ids])
}

function forgetAllBut(cache: Map<string, unknown>, found: readonly FoundModel[]): void {
  const paths = new Set(found.map((model) => model.path))
  for (const path of cache.keys()) if (!paths.has(path) && cache.size > paths.size + 16) cache.delete(path)
}

async function removeEmptyFolders(folder: string, root: string): Promise<void> {
  let current = folder
  while (current.startsWith(root + sep)) {
    const removed = await rmdir(current).then(
      () => true,
      () => false,
    )
    if (!removed) return
    current = dirname(current)
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
