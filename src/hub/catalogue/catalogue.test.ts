import { beforeEach, describe, expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { HolonError } from '../../core/errors.ts'
import { silentLog } from '../../core/log.ts'
import { Catalogue, type CatalogueState } from './catalogue.ts'

/** A book in memory that can be closed, and a clock of one alarm. */
class Book {
  state: CatalogueState = { mode: 'curated', offers: [{ kind: 'model', name: 'a' }], rules: [] }
  known: 'no' | 'perhaps' | 'yes' = 'yes'
  broken = false
  writes = 0
  curated = async () => this.known
  async read() {
    this.check()
    return this.state
  }
  async write(state: CatalogueState) {
    this.check()
    this.writes++
    this.state = state
  }
  private check() {
    if (this.broken) throw new HolonError('store_unavailable', 'The store cannot be read.')
  }
}

let book: Book
let ring: (() => void) | null
let catalogue: Catalogue
beforeEach(() => {
  book = new Book()
  ring = null
  const nodes = [new FakeNode('http://127.0.0.1:1', [aModel('a'), aModel('b')])]
  const after = (_: number, call: () => void) => {
    ring = call
    return () => {
      ring = null
    }
  }
  catalogue = new Catalogue({ nodes, book, log: silentLog, clock: { now: () => 0, after } })
})

const offered = (model: string) => {
  try {
    return catalogue.find(model, 'production').held.length > 0
  } catch {
    return false
  }
}

describe('the list of offered models', () => {
  test('offers nothing while it is known to be curated and cannot be read, and mends itself', async () => {
    book.broken = true
    await catalogue.load()
    expect(offered('a')).toBe(false)
    expect(() => catalogue.find('a', 'production')).toThrow(
      expect.objectContaining({ code: 'store_unavailable', retryAfterS: 5 }),
    )
    expect(catalogue.find('a', null).held).toHaveLength(1)
    await expect(catalogue.offer('b')).rejects.toMatchObject({ code: 'store_unavailable' })
    book.broken = false
    ring?.()
    await expect.poll(() => offered('a')).toBe(true)
    expect(offered('b')).toBe(false)
  })

  test('does not stop a hub of which nobody knows that it was ever curated', async () => {
    book.known = 'perhaps'
    book.broken = true
    await catalogue.load()
    expect([offered('a'), offered('b')]).toEqual([true, true])
    expect(ring).not.toBeNull()
    catalogue.close()
    expect(ring).toBeNull()
  })

  test('is not written over by a change while there may be one that was not read', async () => {
    book.known = 'perhaps'
    book.broken = true
    await catalogue.load()
    book.broken = false
    await expect(catalogue.owner.pin('b', { to: ['node-1'] })).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    expect(book.state.offers).toEqual([{ kind: 'model', name: 'a' }])
    ring?.()
    await expect.poll(() => catalogue.mode).toBe('curated')
    await catalogue.owner.pin('b', { to: ['node-1'] })
    expect(book.state).toMatchObject({ mode: 'curated', offers: [{ name: 'a' }], rules: [{ subject: 'b' }] })
  })

  test('is not read at all when there is none', async () => {
    book.known = 'no'
    book.broken = true
    await catalogue.load()
    expect(ring).toBeNull()
    expect(offered('b')).toBe(true)
  })

  test('stays as it was when a change cannot be written', async () => {
    await catalogue.load()
    book.broken = true
    await expect(catalogue.offer('b')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect([offered('a'), offered('b')]).toEqual([true, false])
    book.broken = false
    await catalogue.offer('b')
    expect(offered('b')).toBe(true)
  })

  test('loses no change of two at once, and writes none that changes nothing', async () => {
    await catalogue.load()
    await Promise.all([catalogue.offer('b'), catalogue.offer('c'), catalogue.offer('b')])
    expect(book.state.offers.map((offer) => offer.name)).toEqual(['a', 'b', 'c'])
    expect(book.writes).toBe(2)
  })

  test('refuses what is no name', async () => {
    await catalogue.load()
    for (const name of ['', '  ', 'a@>=q4', 'x'.repeat(301)]) {
      await expect(catalogue.offer(name)).rejects.toMatchObject({ code: 'invalid_parameter' })
    }
  })
})
