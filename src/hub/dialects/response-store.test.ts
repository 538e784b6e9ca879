import { expect, test } from 'vitest'
import { ResponseStore, type Turn } from './response-store.ts'

const turn = (id: string, previous: string | null = null, text = 'x'): Turn => ({
  id,
  owner: 'me',
  response: { id, text },
  input: [`${id}-in`],
  output: [{ id: `${id}-out` }],
  previous,
})

test('a conversation is told from its first turn to its last', () => {
  const store = new ResponseStore()
  store.keep(turn('a'))
  store.keep(turn('b', 'a'))
  expect(store.history('me', 'b')).toEqual(['a-in', { id: 'a-out' }, 'b-in', { id: 'b-out' }])
  expect(store.item('me', 'a-out')).toEqual({ id: 'a-out' })
})

test('others find nothing', () => {
  const store = new ResponseStore()
  store.keep(turn('a'))
  expect(() => store.get('you', 'a')).toThrow('There is no response "a"')
  expect(store.item('you', 'a-out')).toBeNull()
})

test('the least recently used goes first when there are too many', () => {
  const store = new ResponseStore({ turns: 2, bytes: 1e6 })
  store.keep(turn('a'))
  store.keep(turn('b'))
  store.get('me', 'a')
  store.keep(turn('c'))
  expect(() => store.get('me', 'b')).toThrow()
  expect(store.item('me', 'b-out')).toBeNull()
  expect(store.get('me', 'a').id).toBe('a')
})

test('memory is bounded: large turns push out the others, and one too large is not kept', () => {
  const store = new ResponseStore({ turns: 100, bytes: 5_000 })
  for (let index = 0; index < 50; index++) store.keep(turn(`t${index}`, null, 'y'.repeat(900)))
  const kept = Array.from({ length: 50 }, (_, index) => `t${index}`).filter((id) =>
    store.item('me', `${id}-out`),
  )
  expect(kept).toEqual(['t48', 't49'])
  store.keep(turn('huge', null, 'y'.repeat(5_000)))
  expect(() => store.get('me', 'huge')).toThrow()
  expect(store.get('me', 't49').id).toBe('t49')
})

test('what is deleted is gone, and so is what followed it', () => {
  const store = new ResponseStore()
  store.keep(turn('a'))
  store.keep(turn('b', 'a'))
  store.remove('me', 'a')
  expect(() => store.history('me', 'b')).toThrow('There is no response "a"')
})
