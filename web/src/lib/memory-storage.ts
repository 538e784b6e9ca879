/** A Storage for tests, with the browser's quota and its exception when that is reached. */
export class MemoryStorage implements Storage {
  [name: string]: unknown
  #quota: number

  constructor(quotaChars = Number.POSITIVE_INFINITY) {
    this.#quota = quotaChars
  }

  get length(): number {
    return Object.keys(this).length
  }

  key(index: number): string | null {
    return Object.keys(this)[index] ?? null
  }

  getItem(key: string): string | null {
    return Object.hasOwn(this, key) ? String(this[key]) : null
  }

  setItem(key: string, value: string): void {
    const others = Object.keys(this).filter((other) => other !== key)
    const used = others.reduce((sum, other) => sum + other.length + String(this[other]).length, 0)
    if (used + key.length + value.length > this.#quota) throw new DOMException('full', 'QuotaExceededError')
    this[key] = value
  }

  removeItem(key: string): void {
    delete this[key]
  }

  clear(): void {
    for (const key of Object.keys(this)) delete this[key]
  }
}
