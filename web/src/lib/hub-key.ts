/** The key that the hub asks for, where it asks for one: put before every call, kept in this browser, asked for anew when it is refused. */
const storageKey = 'holon.key'

export interface HubKeyState {
  /** The hub refuses to answer without a key, or with this one. */
  wanted: boolean
  /** One was given, and it is not right. */
  wrong: boolean
  /** One goes with every call. */
  given: boolean
}

export class HubKey {
  #storage: Storage | null
  #call: typeof fetch
  #key: string | null = null
  #state: HubKeyState
  #listeners = new Set<(state: HubKeyState) => void>()

  constructor(storage: Storage | null, call: typeof fetch) {
    this.#storage = storage
    this.#call = call
    try {
      this.#key = storage?.getItem(storageKey) ?? null
    } catch {
      // Storage that is switched off: the key is asked for on every visit.
    }
    this.#state = { wanted: false, wrong: false, given: this.#key !== null }
  }

  subscribe(listener: (state: HubKeyState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.#state)
    return () => this.#listeners.delete(listener)
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const key = this.#key
    const headers = new Headers(init?.headers)
    if (key !== null) headers.set('authorization', `Bearer ${key}`)
    const response = await this.#call(input, { ...init, headers })
    // An answer to the key from before says nothing of the one that was given meanwhile.
    if (key === this.#key) {
      if (response.status === 401) this.#set({ wanted: true, wrong: key !== null, given: key !== null })
      else if (response.ok && this.#state.wanted)
        this.#set({ wanted: false, wrong: false, given: key !== null })
    }
    return response
  }

  /** From now on this one. */
  use(typed: string): void {
    const key = typed.trim()
    this.#key = key === '' ? null : key
    try {
      if (this.#key === null) this.#storage?.removeItem(storageKey)
      else this.#storage?.setItem(storageKey, this.#key)
    } catch {
      // It holds until the page is closed.
    }
  }

  #set(state: HubKeyState): void {
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }
}
