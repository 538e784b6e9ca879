/**
 * One engine that was already there, as the agent sees it: its models with what each is doing, and a hold on one of
 * them for as long as an answer takes. It looks again and again, because the engine's owner loads and unloads too.
 */
import { asHolonError, HolonError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { proveModel } from '../engines/attached/canary.ts'
import { type Door, openDoor } from '../engines/attached/door.ts'
import { type AttachedEngine, type AttachedModel, unknownModel } from '../engines/attached-engine.ts'
import type { LoadProgress } from '../protocol/model.ts'
import type { AnswerStats, LoadOptions } from '../protocol/node.ts'
import { ModelHistory } from './supervisor/model-history.ts'

export interface Held {
  door: Door
  parallel: number
  died: Promise<string>
  release(stats?: AnswerStats): void
}

/** What is known of one model beyond what the engine says. */
export interface ModelBook {
  model: AttachedModel
  /** It has answered since the engine was last seen to fail. */
  proven: boolean
  /** Why it could not answer or load, until it does. */
  failure: string | null
  progress: LoadProgress | null
  active: number
  usedAt: number
  readyAt: number | null
  decodeTokS: number | null
  prefillTokS: number | null
  history: ModelHistory
  /** A load or proof under way, shared by all who wait for it. */
  bringing: Promise<void> | null
}

export interface HostOptions {
  engine: AttachedEngine
  /** Its owner named it. */
  explicit: boolean
  now(): number
  log: Log
  changed(): void
  /** Prove these without being asked: their owner named them, so they are meant to answer. */
  named: readonly string[]
}

const unloadWaitMs = 60_000
const askMs = 10_000

export class AttachedHost {
  readonly engine: AttachedEngine
  readonly explicit: boolean
  readonly books = new Map<string, ModelBook>()
  /** Why the engine cannot be used now; null when it can. */
  trouble: HolonError | null = null
  private readonly options: HostOptions
  private readonly closing = new AbortController()
  private door: Promise<Door> | null = null
  private looking: Promise<void> | null = null
  private dead = deferred()
  private readonly released = new Set<() => void>()

  constructor(options: HostOptions) {
    this.options = options
    this.engine = options.engine
    this.explicit = options.explicit
    // Listed with the reason while the engine cannot be reached.
    for (const name of options.named) this.books.set(name, newBook(unknownModel(name), options.now()))
  }

  /** Asks for its models now. Never throws: what went wrong stands in `trouble`. */
  look(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => {
      this.looking = null
    })
    return this.looking
  }

  /** Proves the models that were named; one after the other, for an engine may hold only one. */
  async proveNamed(): Promise<void> {
    const { named } = this.options
    for (const { model } of [...this.books.values()]) {
      if (this.closing.signal.aborted || this.trouble !== null) return
      const sole = this.books.size === 1 && model.loaded !== false
      if (named.includes(model.name) || sole) await this.bring(model.name).catch(() => undefined)
    }
  }

  stateOf(book: ModelBook): 'disk' | 'loading' | 'ready' | 'failed' {
    if (this.trouble !== null) return 'failed'
    if (book.bringing !== null && !(book.proven && book.model.loaded !== false)) return 'loading'
    if (book.failure !== null) return 'failed'
    if (book.model.loaded === false) return 'disk'
    if (this.engine.saysWhatIsLoaded && book.model.loaded === true) return 'ready'
    return book.proven ? 'ready' : 'disk'
  }

  /**
   * Loads and proves the model if need be, and holds it. A caller that gives up leaves the load to the others.
   * @throws HolonError engine_unavailable, model_not_found, model_load_failed, or the signal's reason
   */
  async hold(
    name: string,
    signal: AbortSignal,
    onProgress?: (progress: LoadProgress) => void,
  ): Promise<Held> {
    if (this.trouble !== null) await this.look()
    if (this.trouble !== null) throw this.trouble
    let book = this.bookOf(name)
    if (!book.proven || book.model.loaded === false || book.bringing !== null) {
      onProgress?.(
        book.progress ?? { phase: `asking ${this.engine.title} for it`, percent: null, etaS: null },
      )
      await untilAborted(this.bring(name, onProgress), signal)
      book = this.bookOf(name)
    }
    const door = await this.opened()
    signal.throwIfAborted()
    return this.take(book, door)
  }

  /** @throws HolonError usage, model_load_failed */
  async load(name: string, wish: LoadOptions): Promise<void> {
    if (wish.keep || wish.ifRoom) throw this.decidesItself('how long a model stays in its memory')
    if (wish.parallel != null) throw this.decidesItself('how many answers it gives at once')
    if (wish.contextTokens != null && !this.engine.load) throw this.decidesItself('the length of the context')
    if (this.trouble !== null) await this.look()
    if (this.trouble !== null) throw this.trouble
    const book = this.bookOf(name)
    if (book.bringing !== null) await book.bringing.catch(() => undefined)
    await this.bring(name, undefined, wish.contextTokens ?? null)
  }

  /** Waits for answers under way. @throws HolonError usage, overloaded, engine_unavailable */
  async unload(name: string): Promise<void> {
    const { engine } = this
    const book = this.bookOf(name)
    if (!engine.unload) {
      throw new HolonError('usage', `${engine.title} at ${engine.url} unloads nothing when asked.`, {
        hint: 'End it, or unload the model, where it was started.',
      })
    }
    await this.untilIdle(book)
    if (book.model.loaded !== false) await engine.unload(book.model, AbortSignal.timeout(askMs))
    book.proven = false
    book.readyAt = null
    await this.look()
    this.options.changed()
  }

  async close(): Promise<void> {
    this.closing.abort(new HolonError('engine_unavailable', 'Holon is stopping.'))
    await this.looking
    await (await this.door)?.close()
  }

  private async lookOnce(): Promise<void> {
    const signal = AbortSignal.any([this.closing.signal, AbortSignal.timeout(askMs)])
    try {
      const models = await this.engine.list(signal)
      this.trouble = null
      this.enter(models)
    } catch (thrown) {
      if (this.closing.signal.aborted) return
      const error = asHolonError(thrown)
      const news = this.trouble?.message !== error.message
      this.trouble = error
      for (const book of this.books.values()) book.proven = false
      if (news) this.options.log.warn({ engine: this.engine.id, code: error.code }, error.message)
      // Nothing listens there any more: what waits for an answer waits in vain.
      if (/ECONNREFUSED|ENOTFOUND|EHOSTUNREACH/.test(error.message)) {
        this.dead.resolve(error.message)
        this.dead = deferred()
      }
      this.options.changed()
    }
  }

  private enter(models: AttachedModel[]): void {
    const before = this.fingerprint()
    const names = new Set(models.map((model) => model.name))
    for (const [name, book] of this.books) if (!names.has(name) && book.active === 0) this.books.delete(name)
    for (const model of models) {
      const book = this.books.get(model.name)
      if (book) {
        // A book without active answers whose model was unloaded is proven anew with the next load.
        if (model.loaded === false) book.readyAt = null
        else if (model.loaded === true) book.readyAt ??= this.options.now()
        book.model = model
      } else this.books.set(model.name, newBook(model, this.options.now()))
    }
    if (this.fingerprint() !== before) this.options.changed()
  }

  private fingerprint(): string {
    const parts = [...this.books.values()].map(({ model, failure }) => [model, failure])
    return JSON.stringify([this.trouble?.message, parts])
  }

  private bookOf(name: string): ModelBook {
    const book = this.books.get(name)
    if (book) return book
    throw new HolonError('model_not_found', `${this.engine.title} has no model "${name}" any more.`, {
      param: 'model',
    })
  }

  private bring(
    name: string,
    onProgress?: (progress: LoadProgress) => void,
    contextTokens: number | null = null,
  ): Promise<void> {
    const book = this.bookOf(name)
    book.bringing ??= this.bringOnce(book, contextTokens, (progress) => {
      book.progress = progress
      onProgress?.(progress)
      this.options.changed()
    }).finally(() => {
      book.bringing = null
      book.progress = null
      this.options.changed()
    })
    return book.bringing
  }

  private async bringOnce(
    book: ModelBook,
    contextTokens: number | null,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<void> {
    const { signal } = this.closing
    const { engine } = this
    try {
      if (engine.load && (book.model.loaded === false || contextTokens !== null)) {
        onProgress({ phase: `loading in ${engine.title}`, percent: null, etaS: null })
        const startedAt = this.options.now()
        await engine.load(book.model, { contextTokens, signal, onProgress })
        book.history.loaded(this.options.now() - startedAt)
        await this.look()
      }
      onProgress({ phase: 'asking for one token', percent: null, etaS: null })
      await proveModel(await this.opened(), book.model, signal)
      book.proven = true
      book.failure = null
      book.readyAt ??= this.options.now()
      book.usedAt = this.options.now()
      // Some load by being asked: the list now says more.
      if (book.model.loaded === false) await this.look()
    } catch (thrown) {
      const error = asHolonError(thrown)
      book.failure = error.message
      const code =
        error.code === 'engine_failed' || error.code === 'internal' ? 'model_load_failed' : error.code
      throw new HolonError(code, error.message, { source: 'engine', hint: error.hint, cause: thrown })
    }
  }

  private take(book: ModelBook, door: Door): Held {
    book.active++
    let over = false
    return {
      door,
      parallel: book.model.parallel ?? this.engine.parallel,
      died: this.dead.promise,
      release: (stats) => {
        if (over) return
        over = true
        book.active--
        book.usedAt = this.options.now()
        if (stats?.decodeTokS != null) book.decodeTokS = stats.decodeTokS
        if (stats?.prefillTokS != null) book.prefillTokS = stats.prefillTokS
        if (stats) book.history.answered(stats)
        for (const tell of this.released) tell()
      },
    }
  }

  private opened(): Promise<Door> {
    this.door ??= openDoor(this.engine, {
      answered: (name) => {
        const book = this.books.get(name)
        if (book) Object.assign(book, { proven: true, failure: null })
      },
      failed: (name, error) => {
        const book = this.books.get(name)
        if (book) book.proven = false
        this.options.log.warn({ engine: this.engine.id, model: name, code: error.code }, error.message)
        void this.look()
      },
    })
    return this.door
  }

  private async untilIdle(book: ModelBook): Promise<void> {
    const end = Date.now() + unloadWaitMs
    while (book.active > 0) {
      const left = end - Date.now()
      if (left <= 0) throw new HolonError('overloaded', `${book.model.name} is still answering.`)
      await new Promise<void>((resolve) => {
        const tell = (): void => {
          clearTimeout(timer)
          this.released.delete(tell)
          resolve()
        }
        const timer = setTimeout(tell, left)
        this.released.add(tell)
      })
    }
  }

  private decidesItself(what: string): HolonError {
    return new HolonError('usage', `${this.engine.title} decides ${what} itself.`, {
      hint: 'Set it where the engine is started.',
    })
  }
}

function newBook(model: AttachedModel, now: number): ModelBook {
  return {
    model,
    proven: false,
    failure: null,
    progress: null,
    active: 0,
    usedAt: now,
    readyAt: model.loaded === true ? now : null,
    decodeTokS: null,
    prefillTokS: null,
    history: new ModelHistory(),
    bringing: null,
  }
}

function deferred(): { promise: Promise<string>; resolve(reason: string): void } {
  let resolve: (reason: string) => void = () => undefined
  const promise = new Promise<string>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason)
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}
